"""What a failed MQTT round trip says: which step was reached, and how long it really took."""

import socket
import ssl
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from socketserver import StreamRequestHandler

import pytest

from device import mqtt_publish
from device.certificate import DeviceCertificate
from device.errors import Busy, CertificateRefused, ConnectDenied, DeviceError, NoAnswer, PortClosed, TopicDenied
from device.keys import open_key
from device.mqtt_publish import MqttRoundTrip
from device.settings import load
from device.shared_port import MQTT, DataPort
from device.tls import client_context
from tests.support.device.authority import Authority, common_name
from tests.support.device.tls_server import TlsServer

# MQTT 3.1.1 sections 3.2, 3.9 and 3.4. paho counts its packets from 1: SUBSCRIBE, then PUBLISH.
CONNACK = b"\x20\x02\x00\x00"
CONNACK_SERVER_UNAVAILABLE = b"\x20\x02\x00\x03"
CONNACK_NOT_AUTHORIZED = b"\x20\x02\x00\x05"
SUBACK = b"\x90\x03\x00\x01\x01"
SUBACK_FAILURE = b"\x90\x03\x00\x01\x80"
PUBACK = b"\x40\x02\x00\x02"

PATIENCE = 0.6
"""Seconds that a round trip may take here. A message rounds them to 1 s."""

# What is said of a round trip to a port of 127.0.0.1; it always fails.
FailureAt = Callable[[int], DeviceError]


class Broker(TlsServer):
    """Answers one packet after the other. After the last answer it says nothing, or hangs up at the next packet."""

    def __init__(self, server_pem: Path, *answers: bytes, hangs_up: bool = False) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(server_pem)

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                for answer in answers:
                    self.read_packet()
                    self.wfile.write(answer)
                self.read_packet()
                if not hangs_up:
                    self.rfile.read()

            def read_packet(self) -> None:
                _, length = self.rfile.read(2)  # lengths below 128 are one byte
                self.rfile.read(length)

        super().__init__(context, Handler)


@pytest.fixture
def failure_at(authority: Authority, pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FailureAt:
    monkeypatch.setattr(mqtt_publish, "TIMEOUT", PATIENCE)
    key = open_key(load(Namespace(state=str(tmp_path), key="file:")), create=True)
    certificate = DeviceCertificate(authority.issue(key.public_key(), common_name("pi-7")))

    def round_trip(port: int) -> DeviceError:
        client = MqttRoundTrip(
            endpoint="127.0.0.1",
            port=DataPort(port, MQTT, fixed=True),
            name="pi-7",
            certificate=certificate,
            key=key,
            context=client_context(pki / "ca.pem"),
        )
        with pytest.raises(DeviceError) as failed:
            client.run("devices/pi-7/test", b"hello")
        return failed.value

    return round_trip


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port whose queue holds one connection; nothing accepts it."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        yield server


def test_a_port_that_drops_packets_may_be_a_firewall(failure_at: FailureAt, listener: socket.socket) -> None:
    with ExitStack() as queue:
        for _ in range(2):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        failure = failure_at(listener.getsockname()[1])

    assert isinstance(failure, NoAnswer)
    assert "did not answer within 0.6 s." in failure.cause
    assert "firewall that drops packets" in failure.cure


def test_a_server_that_accepts_and_says_nothing_is_not_a_firewall_that_drops_packets(
    failure_at: FailureAt, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    failure = failure_at(port)

    assert isinstance(failure, NoAnswer)
    assert failure.cause == (
        f"MQTT: 127.0.0.1 port {port} accepted the connection and did not complete the TLS handshake within 1 s."
    )
    assert "not at this device" in failure.cure


@pytest.mark.parametrize(
    ("answers", "what"),
    [
        ((), "did not answer the CONNECT"),
        ((CONNACK,), "did not answer the SUBSCRIBE"),
        ((CONNACK, SUBACK), "did not acknowledge the PUBLISH"),
        ((CONNACK, SUBACK, PUBACK), "acknowledged the message and did not deliver it back"),
    ],
    ids=["connect", "subscribe", "publish", "receive"],
)
def test_a_broker_that_stops_answering_is_told_by_the_step(
    failure_at: FailureAt, pki: Path, answers: tuple[bytes, ...], what: str
) -> None:
    with Broker(pki / "localhost.pem", *answers) as broker:
        failure = failure_at(broker.port)
        assert isinstance(failure, NoAnswer)
        assert failure.cause == f"MQTT: 127.0.0.1 port {broker.port} {what} within 1 s."


@pytest.mark.parametrize(
    ("answers", "hangs_up", "error", "sentence"),
    [
        ((), True, CertificateRefused, "ended the connection before it began"),
        ((CONNACK_NOT_AUTHORIZED,), False, ConnectDenied, "does not allow this device to connect as pi-7"),
        ((CONNACK_SERVER_UNAVAILABLE,), False, Busy, "AWS IoT is busy"),
        ((CONNACK,), True, TopicDenied, "does not allow this device to subscribe to devices/pi-7/test"),
        ((CONNACK, SUBACK_FAILURE), False, TopicDenied, "does not allow this device to subscribe to devices/pi-7/test"),
        ((CONNACK, SUBACK), True, TopicDenied, "does not allow this device to publish to devices/pi-7/test"),
    ],
    ids=["dropped", "connect", "unavailable", "subscribe-dropped", "subscribe", "publish"],
)
def test_a_refusal_is_told_by_the_step(
    failure_at: FailureAt,
    pki: Path,
    answers: tuple[bytes, ...],
    hangs_up: bool,
    error: type[DeviceError],
    sentence: str,
) -> None:
    with Broker(pki / "localhost.pem", *answers, hangs_up=hangs_up) as broker:
        failure = failure_at(broker.port)
    assert type(failure) is error
    assert sentence in failure.cause


def test_a_closed_port(failure_at: FailureAt, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    assert isinstance(failure_at(port), PortClosed)
