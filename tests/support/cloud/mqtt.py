"""An MQTT client that says what the broker allowed."""

import contextlib
import queue
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PATIENCE_SECONDS = 10.0


class MqttConnection:
    """MQTT 3.1.1 over mutual TLS. `is_connected` right after construction says whether CONNECT was accepted.

    What AWS IoT does not allow it answers by closing the connection; so does the emulator's broker.
    """

    def __init__(self, env: Mapping[str, str], *, certificate: Path, key: Path, client_id: str) -> None:
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._settled = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
        context = ssl.create_default_context(cafile=env["CA_BUNDLE"])
        context.load_cert_chain(certificate, key)
        self._client.tls_set_context(context)
        self._client.on_connect = lambda *_: self._settled.set()
        self._client.on_disconnect = lambda *_: self._settled.set()
        self._client.on_publish = lambda *_: self._settled.set()
        self._client.on_subscribe = lambda *_: self._settled.set()
        self._client.on_message = lambda _client, _data, message: self.messages.put((message.topic, message.payload))
        # A refused certificate ends the handshake, or what follows it.
        with contextlib.suppress(OSError):
            self._client.connect(env["IOT_ENDPOINT"], int(env["IOT_MQTT_PORT"]))
            self._client.loop_start()
            self._settle()

    def __enter__(self) -> "MqttConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected()

    def publish(self, topic: str, payload: bytes = b"{}") -> bool:
        """Publish with QoS 1; say whether the broker acknowledged it."""
        message = self._client.publish(topic, payload, qos=1)
        self._settle()
        try:
            return message.is_published()
        except RuntimeError:
            return False  # closed before the message was quite out

    def subscribe(self, topic: str) -> bool:
        """Subscribe with QoS 1; say whether the connection survived it."""
        self._client.subscribe(topic, qos=1)
        self._settle()
        return self.is_connected

    def _settle(self) -> None:
        assert self._settled.wait(PATIENCE_SECONDS), "the broker said nothing"
        self._settled.clear()
