"""mosquitto_pub and mosquitto_sub with an OpenSSL engine.

They insist that the file of --key exists, also with an engine that takes no notice of it (seen with bookworm's 2.0.11
and trixie's 2.0.21). So for a Zymkey it is the certificate's; and a key that an engine knows by a URI cannot be named
to them at all.
"""

import shlex

from ..errors import UsageError
from ..keys.command_line import ZYMKEY_ENGINE
from .setup import Setup


def render(setup: Setup) -> str:
    """Raises UsageError for keys that have a name which is no file's."""
    connection = ["--host", setup.endpoint, "--port", str(setup.mqtt_port), "--cafile", str(setup.roots)]
    connection += ["--cert", str(setup.certificate), *_key(setup), "--id", setup.name, "--protocol-version", "311"]
    subscribe = ["mosquitto_sub", *connection, "--qos", "1", "--verbose", "--topic", setup.mqtt_topic]
    publish = ["mosquitto_pub", *connection, "--qos", "1", "--topic", setup.mqtt_topic]
    return (
        f"# In sh or bash, as a user who may read {setup.settings.state.absolute()} and use the key.\n"
        "# The policy allows one client id, the device's name, and AWS IoT one connection with it: one of these at a\n"
        "# time. A mosquitto broker's bridge cannot use engines; for that, see: zymkey-iot config paho\n"
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
        f"mosquitto_pub and mosquitto_sub take the name of a key for a file's, and {setup.by_hand.name} is none.",
        cure="Python: zymkey-iot config paho; or one message: zymkey-iot publish --mqtt",
    )
