"""mosquitto_pub and mosquitto_sub with an OpenSSL engine.

They require that the file of --key exists, even with an engine that ignores it (seen with bookworm's 2.0.11 and
trixie's 2.0.21). So for a Zymkey the file is the certificate's; and they cannot use a key whose name is a URI.
"""

import shlex

from ..errors import UsageError
from ..keys.command_line import ZYMKEY_ENGINE
from ..shared_port import MQTT, protocol_on
from .setup import Setup


def render(setup: Setup) -> str:
    """Two shell commands.

    Raises:
        UsageError: the key has a name that is not a file's.
    """
    connection = ["--host", setup.endpoint, "--port", str(setup.mqtt_port), "--cafile", str(setup.roots)]
    connection += ["--cert", str(setup.certificate), *_key(setup), "--id", setup.name, "--protocol-version", "311"]
    if protocol := protocol_on(setup.mqtt_port, MQTT):
        connection += ["--tls-alpn", protocol]
    subscribe = ["mosquitto_sub", *connection, "--qos", "1", "--verbose", "--topic", setup.mqtt_topic]
    publish = ["mosquitto_pub", *connection, "--qos", "1", "--topic", setup.mqtt_topic]
    return (
        f"# For sh or bash. Run it as a user who may read {setup.settings.state.absolute()} and use the key.\n"
        "# Run one of the two commands at a time: the policy allows one client id, the device's name, and AWS IoT\n"
        "# allows one connection for each client id. The bridge of a mosquitto broker cannot use engines; write a\n"
        "# bridge in Python instead: zymkey-iot config paho\n"
        f'{setup.environment()}{shlex.join(publish)} --message \'{{"hello": "world"}}\'\n'
        f"{shlex.join(subscribe)}\n"
    )


def _key(setup: Setup) -> list[str]:
    engine = setup.by_hand.engine
    if engine is None:
        return ["--key", setup.by_hand.name]
    if engine == ZYMKEY_ENGINE:
        return ["--tls-engine", engine, "--keyform", "engine", "--key", str(setup.certificate)]
    raise UsageError(
        f"mosquitto_pub and mosquitto_sub need a key in a file, and {setup.by_hand.name} is not a file.",
        cure="use Python: zymkey-iot config paho; or publish one message: zymkey-iot publish --mqtt",
    )
