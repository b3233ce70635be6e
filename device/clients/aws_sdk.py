"""The AWS IoT device SDK v2 for Python with a PKCS#11 key. TLS 1.2: the SDK cannot do TLS 1.3 with such keys."""

from .pkcs11_object import pkcs11_object
from .setup import Setup


def render(setup: Setup) -> str:
    """A Python program.

    Raises:
        UsageError: the key is not on a PKCS#11 token.
    """
    key = pkcs11_object(setup, client="the AWS IoT device SDK")
    pin = f"Path({str(key.pin_file)!r}).read_text().strip()" if key.pin_file else 'getpass("PIN: ")'
    import_for_pin = "from pathlib import Path" if key.pin_file else "from getpass import getpass"
    return f"""\
# Needs awsiotsdk: pip install awsiotsdk. Run it as a user who may read {setup.certificate}
# and use the token. The SDKs for other languages need the same: module, token, label, PIN.
import threading
{import_for_pin}

from awscrt import io, mqtt
from awsiot import mqtt_connection_builder

TOPIC = {setup.mqtt_topic!r}

connection = mqtt_connection_builder.mtls_with_pkcs11(
    pkcs11_lib=io.Pkcs11Lib(file={key.module!r}, behavior=io.Pkcs11Lib.InitializeFinalizeBehavior.STRICT),
    user_pin={pin},
    token_label={key.token!r},
    private_key_label={key.label!r},
    cert_filepath={str(setup.certificate)!r},
    ca_filepath={str(setup.roots)!r},
    endpoint={setup.endpoint!r},
    port={setup.mqtt_port},
    client_id={setup.name!r},  # the only client id that the policy allows
    clean_session=True,
    keep_alive_secs=60,
)
received = threading.Event()


def on_message(topic, payload, **_):
    print(topic, payload.decode())
    received.set()


connection.connect().result(timeout=20)
subscribed, _ = connection.subscribe(topic=TOPIC, qos=mqtt.QoS.AT_LEAST_ONCE, callback=on_message)
subscribed.result(timeout=20)
published, _ = connection.publish(topic=TOPIC, payload='{{"hello": "world"}}', qos=mqtt.QoS.AT_LEAST_ONCE)
published.result(timeout=20)
received.wait(timeout=20)
connection.disconnect().result(timeout=20)
"""
