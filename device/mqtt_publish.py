"""Publish over MQTT with mutual TLS and receive one's own message: AWS IoT's port 8883, or 443 with ALPN.

https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html
"""

import socket
import time
from collections.abc import Sequence
from typing import Any

from . import tcp
from .certificate import DeviceCertificate
from .client_context import ClientContext
from .connection_errors import explain
from .cures import ANOTHER_NETWORK
from .errors import Busy, CertificateRefused, ConnectDenied, DeviceError, HungUp, NoAnswer, TopicDenied, UnexpectedReply
from .keys import DeviceKey
from .shared_port import DataPort
from .tls import present

TIMEOUT = 20.0
"""Seconds for a whole round trip, and for each wait until TLS is there."""
LARGEST_ANSWERS = 1 << 19
"""In bytes, all of them together; a message has at most 128 kB."""

_FAILURE = 0x80
"""From here on a reason code means no (MQTT 3.1.1 section 3.9.3)."""
_SERVER_UNAVAILABLE = 0x88
"""How paho gives CONNACK's return code 3 (MQTT 3.1.1 section 3.2.2.3)."""

_NO_ANSWER = {
    "connect": "did not answer the CONNECT",
    "subscribe": "did not answer the SUBSCRIBE",
    "publish": "did not acknowledge the PUBLISH",
    "receive": "acknowledged the message and did not deliver it back",
}
"""What has not happened, by the state in which the time ran out."""


class MqttRoundTrip:
    """Connects as the thing, subscribes to a topic, publishes to it, and waits for the message.

    AWS IoT answers a denial by closing the connection, so the step that was reached says what was denied.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        port: DataPort,
        name: str,
        certificate: DeviceCertificate,
        key: DeviceKey,
        context: ClientContext,
        chain: Sequence[DeviceCertificate] = (),
    ) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        self._endpoint, self.port, self._name = endpoint, port, name
        self._context = context
        self._signer = present(context, certificate, key, chain=chain)

        round_trip = self

        class BoundedClient(Client):
            """paho gives each address of the endpoint the whole time-out."""

            def _create_socket_connection(self) -> socket.socket:
                return tcp.connect(self.host, self.port, timeout=self.connect_timeout)

            def _sock_recv(self, bufsize: int) -> bytes:
                """paho collects a packet of any length, and a length may say 256 MB."""
                received = super()._sock_recv(bufsize)
                round_trip._received += len(received)
                if round_trip._received > LARGEST_ANSWERS:
                    raise UnexpectedReply(
                        f"MQTT: {endpoint} sends more than {LARGEST_ANSWERS >> 10} kB, far more than its answers.",
                        cure="check the endpoint; " + ANOTHER_NETWORK,
                    )
                return received

        self._client = BoundedClient(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.tls_set_context(context)
        self._client.connect_timeout = TIMEOUT  # paho's own is 5 s
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._state = "connect"
        self._denied: int | None = None
        self._closed = False
        self._received = 0
        self._topic = ""
        self._payload = b""

    def connect(self) -> None:
        """Connect and disconnect.

        Raises:
            CertificateRefused: AWS IoT drops the connection.
            DeviceError: as ``run`` raises it.
        """
        self._reach("subscribe")

    def run(self, topic: str, payload: bytes) -> None:
        """One round trip.

        Raises:
            NoAnswer: the time ran out.
            DeviceError: as ``HttpsPublisher.publish`` raises it.
        """
        self._topic, self._payload = topic, payload
        self._reach("received")

    def _reach(self, state: str) -> None:
        self.port.reach(self._connect)
        try:
            while self._state != state:
                left = self._began + TIMEOUT - time.monotonic()
                if left <= 0:
                    raise self._no_answer(_NO_ANSWER[self._state], self.port.number)
                self._client.loop(timeout=min(left, 1.0))
                if self._denied is not None or self._closed:
                    raise self._refusal()
        finally:
            self._client.disconnect()

    def _connect(self, port: int, protocol: str | None) -> None:
        self._began = time.monotonic()
        try:
            with self._context.offering(protocol):
                self._client.connect(self._endpoint, port, keepalive=30)
        except OSError as error:
            if self._signer.failure is not None:
                raise self._signer.failure from None
            # Only the words of the ssl module tell. Without them it was TCP, where a firewall is the likely reason.
            if isinstance(error, TimeoutError) and "handshake" in str(error):
                raise self._no_answer("accepted the connection and did not complete the TLS handshake", port) from None
            elapsed = time.monotonic() - self._began
            peer = f"{self._endpoint} port {port}"
            roots = self._context.given_roots
            explained = explain(error, peer=peer, host=self._endpoint, seconds=elapsed, given_roots=roots)
            if isinstance(explained, HungUp):
                raise self._certificate_refused() from None
            raise explained from None

    def _no_answer(self, what: str, port: int) -> NoAnswer:
        failure = NoAnswer(
            f"MQTT: {self._endpoint} port {port} {what} within {time.monotonic() - self._began:.0f} s.",
            cure="try again in a minute; if it happens again, look at that server or at a firewall on the way to it,"
            " not at this device",
        )
        failure.connected = True
        return failure

    def _refusal(self) -> DeviceError:
        if self._signer.failure is not None:
            return self._signer.failure
        if self._denied == _SERVER_UNAVAILABLE:
            return Busy("MQTT: AWS IoT is busy or does not work now.", cure="try again later")
        if self._state == "connect" and self._denied is None:
            return self._certificate_refused()
        action = {
            "connect": f"connect as {self._name}",
            "subscribe": f"subscribe to {self._topic}",
            "publish": f"publish to {self._topic}",
        }.get(self._state, f"receive from {self._topic}")
        denied = ConnectDenied if self._state == "connect" else TopicDenied
        return denied(
            f"MQTT: the IoT policy does not allow this device to {action}.",
            cure="use a topic that configuration.json lists; a change of the policy takes effect after minutes",
        )

    def _certificate_refused(self) -> CertificateRefused:
        return CertificateRefused(
            f"MQTT: {self._endpoint} ended the connection before it began: the certificate is unknown or not"
            f" active, or its policy does not let it connect as {self._name}.",
            cure="zymkey-iot publish without --mqtt tells the two apart",
        )

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._denied = reason.value
            return
        self._state = "subscribe"
        if self._topic:
            client.subscribe(self._topic, qos=1)

    def _on_subscribe(self, client: Any, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if any(reason.value >= _FAILURE for reason in reasons):
            self._denied = reasons[0].value
            return
        self._state = "publish"
        client.publish(self._topic, self._payload, qos=1)

    def _on_publish(self, _client: Any, _data: Any, _mid: int, _reason: Any, _properties: Any) -> None:
        if self._state == "publish":
            self._state = "receive"

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # somebody else's
        if topic == self._topic and message.payload == self._payload:
            self._state = "received"

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        if self._state != "received":
            self._closed = True
