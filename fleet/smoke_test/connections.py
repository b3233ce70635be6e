"""Mutual TLS to the AWS IoT data endpoint: one publish over HTTPS, one round trip over MQTT.

Sources: AWS IoT Developer Guide, device communication protocols; ``iot-data`` API, Publish.
"""

from __future__ import annotations

import os
import ssl
import time
from dataclasses import dataclass
from typing import Any

import certifi
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from fleet.errors import Refused, Unreachable, innermost_reason
from fleet.https import HttpsSession
from fleet.trusted_roots import refuse_unusable_roots

_TIMEOUT_SECONDS = 20


class ConnectionRefused(Exception):
    """There was no connection, or it ended without an answer, as when AWS IoT refuses the certificate."""


class TopicRefused(Exception):
    """AWS IoT closed an MQTT connection that it had accepted: its way to refuse a topic."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where devices connect. ``$IOT_ENDPOINT``, ``$IOT_HTTPS_PORT``, ``$IOT_MQTT_PORT``, ``$CA_BUNDLE`` come first.

    ``protocol`` is what TLS offers by ALPN, where one port serves several.
    """

    host: str
    https_port: int
    mqtt_port: int
    roots: str  # a PEM file
    protocol: str | None = None

    @classmethod
    def of(cls, configuration: dict[str, Any]) -> Endpoint:
        """What the deployment says, and what the environment says otherwise.

        Raises:
            Refused, SdkFailed: a port is no number, or the CA file cannot be used.
        """
        roots = os.environ.get("CA_BUNDLE") or certifi.where()
        refuse_unusable_roots(roots, named_by="$CA_BUNDLE")
        return cls(
            host=os.environ.get("IOT_ENDPOINT") or configuration["dataEndpoint"],
            https_port=_port("IOT_HTTPS_PORT", configuration["httpsPort"]),
            mqtt_port=_port("IOT_MQTT_PORT", configuration["mqttPort"]),
            roots=roots,
        )


def _port(variable: str, otherwise: object) -> int:
    port = os.environ.get(variable) or str(otherwise)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise Refused(f"The port {port!r} is no number from 1 to 65535.", cure=f"correct or unset ${variable}")
    return int(port)


@dataclass(frozen=True, kw_only=True)
class HttpsAnswer:
    status: int
    error_type: str  # header x-amzn-ErrorType
    body: str

    def __str__(self) -> str:
        return f"HTTP {self.status} {self.error_type} {self.body}".strip()


def publish_over_https(endpoint: Endpoint, files: tuple[str, str], topic: str, payload: bytes) -> HttpsAnswer:
    """Publish with QoS 1, so that the answer means that AWS IoT has the message.

    Raises:
        ConnectionRefused: no answer.
    """
    url = f"https://{endpoint.host}:{endpoint.https_port}/topics/{topic}?qos=1"
    try:
        reply = HttpsSession(protocol=endpoint.protocol).send(
            "POST", url, data=payload, cert=files, verify=endpoint.roots, timeout=_TIMEOUT_SECONDS
        )
    except Unreachable as error:
        raise ConnectionRefused(error.cause) from None
    return HttpsAnswer(
        status=reply.status_code,
        error_type=reply.headers.get("x-amzn-ErrorType", ""),
        body=" ".join(reply.text.split())[:300],
    )


def round_trip_over_mqtt(
    endpoint: Endpoint, files: tuple[str, str], *, client_id: str, topic: str, payload: bytes, subscribe: bool = True
) -> None:
    """Connect, subscribe, publish with QoS 1, and wait for the message; or without ``subscribe`` for the PUBACK.

    Raises:
        ConnectionRefused: there was no connection.
        TopicRefused: the connection was closed, or the subscription refused.
        TimeoutError: nothing came back.
    """
    _RoundTrip(endpoint, files, client_id=client_id, topic=topic, payload=payload, subscribe=subscribe).run()


class _RoundTrip:
    def __init__(
        self, endpoint: Endpoint, files: tuple[str, str], *, client_id: str, topic: str, payload: bytes, subscribe: bool
    ) -> None:
        self._endpoint, self._topic, self._payload, self._subscribe = endpoint, topic, payload, subscribe
        self._is_connected = self._is_done = self._is_over = False
        context = ssl.create_default_context(cafile=endpoint.roots)
        context.load_cert_chain(*files)
        if endpoint.protocol is not None:
            context.set_alpn_protocols([endpoint.protocol])
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect

    def run(self) -> None:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        try:
            self._client.connect(self._endpoint.host, self._endpoint.mqtt_port, keepalive=30)
        except OSError as error:
            raise ConnectionRefused(innermost_reason(error)) from None
        try:
            while not self._is_done and not self._is_over and time.monotonic() < deadline:
                self._client.loop(timeout=0.5)
        finally:
            self._client.disconnect()
        if self._is_done:
            return
        if not self._is_over:
            raise TimeoutError(f"nothing came back within {_TIMEOUT_SECONDS} s")
        raise (TopicRefused if self._is_connected else ConnectionRefused)("AWS IoT closed the connection")

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._is_over = True
            return
        self._is_connected = True
        if self._subscribe:
            client.subscribe(self._topic, qos=1)
        else:
            client.publish(self._topic, self._payload, qos=1)

    def _on_subscribe(self, client: Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if any(each.is_failure for each in reasons):
            self._is_over = True
            return
        client.publish(self._topic, self._payload, qos=1)

    def _on_publish(self, _client: Client, _data: Any, _mid: int, _reason: Any, _properties: Any) -> None:
        self._is_done = self._is_done or not self._subscribe

    def _on_message(self, _client: Client, _data: Any, message: Any) -> None:
        self._is_done = self._is_done or message.payload == self._payload

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        self._is_over = True
