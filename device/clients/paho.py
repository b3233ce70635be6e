"""Python with paho-mqtt. The key signs each handshake in this process, TLS 1.2 and 1.3."""

from .setup import PACKAGE, Setup


def render(setup: Setup) -> str:
    return f"""\
{setup.how_to_run()}
from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from {PACKAGE}.identity import this_device

TOPIC = {setup.mqtt_topic!r}


def on_connect(client, _data, _flags, reason, _properties):
    if reason.is_failure:
        raise SystemExit(f"not connected: {{reason}}")
    client.subscribe(TOPIC, qos=1)


def on_subscribe(client, _data, _message_id, _reasons, _properties):
    client.publish(TOPIC, '{{"hello": "world"}}', qos=1)


def on_message(client, _data, message):
    print(message.topic, message.payload.decode())
    client.disconnect()  # without this line it keeps running


device = {setup.call_of_this_device()}
# The policy allows only this client id. A second connection with it closes the first.
client = Client(CallbackAPIVersion.VERSION2, client_id=device.name, protocol=MQTTv311)
client.tls_set_context(device.context)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect(device.endpoint, device.mqtt_port, keepalive=60)
client.loop_forever()
"""
