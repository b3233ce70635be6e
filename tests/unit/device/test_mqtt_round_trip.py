"""`zymkey-iot publish --mqtt`: the message comes back, or the step that AWS IoT denied is named."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from device.errors import HsmNotAnswering, NoAnswer
from device.keys.file import FileKey
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.est_server import EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi
from tests.support.device.topic_broker import TopicBroker

__all__ = ["zymkey_iot"]

TOPIC = "devices/pi-7/hello"


@pytest.fixture
def broker(pki: Path, est: EstServer) -> Iterator[TopicBroker]:
    with TopicBroker(pki / "localhost.pem", pki / "ca.pem") as server:
        est.configuration["mqttPort"] = server.port
        yield server


@pytest.fixture
def publish(broker: TopicBroker, zymkey_iot: Command) -> Command:
    """Publish one message from a device that has been bootstrapped."""
    assert zymkey_iot("bootstrap").returncode == 0

    def run(*options: str) -> object:
        return zymkey_iot("publish", "--mqtt", "devices/{device}/hello", "21.5", *options)

    return run


def test_the_message_goes_out_and_comes_back(publish: Command, broker: TopicBroker) -> None:
    done = publish()

    assert done.returncode == 0, done.stderr
    assert broker.messages == [(TOPIC, b"21.5")]
    assert f"{TOPIC}, 4 bytes over MQTT, and received back" in done.stdout


def test_a_bootstrap_may_prove_it_too_and_costs_the_hsm_one_signature_more(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, broker: TopicBroker, zymkey_iot: Command
) -> None:
    done = zymkey_iot("bootstrap", "--mqtt")

    assert done.returncode == 0, done.stderr
    assert [topic for topic, _ in broker.messages] == ["devices/pi-7/bootstrap"]
    assert zymkey.signatures() == 3


def test_a_fleet_whose_devices_may_publish_nothing_has_nothing_to_prove(
    zymkey_iot: Command, broker: TopicBroker, est: EstServer
) -> None:
    est.configuration["topics"] = {"publish": [], "subscribe": []}

    done = zymkey_iot("bootstrap", "--mqtt")

    assert done.returncode == 0, done.stderr
    assert broker.messages == []


@pytest.mark.parametrize(
    ("denial", "names"),
    [
        ("refuse connect", "connect as pi-7"),
        ("refuse subscribe", f"subscribe to {TOPIC}"),
        ("drop subscribe", f"subscribe to {TOPIC}"),
        ("drop publish", f"publish to {TOPIC}"),
    ],
)
def test_what_the_policy_denies_is_named(publish: Command, broker: TopicBroker, denial: str, names: str) -> None:
    broker.denial = denial

    done = publish()

    assert done.returncode not in (0, 1)
    assert names in done.stderr
    assert broker.messages == []


def test_a_connection_that_ends_before_it_begins_may_be_the_certificate_or_the_policy(
    publish: Command, broker: TopicBroker
) -> None:
    broker.denial = "drop connect"

    done = publish()

    assert done.returncode not in (0, 1)
    assert "certificate" in done.stderr
    assert "without --mqtt" in done.stderr


def test_a_message_that_does_not_come_back_is_waited_for_and_then_missed(
    publish: Command, broker: TopicBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.denial = "keep"
    monkeypatch.setattr("device.mqtt_publish.TIMEOUT", 0.2)

    done = publish()

    assert done.returncode == NoAnswer.exit_code
    assert broker.messages == [(TOPIC, b"21.5")]
    assert "within 0 s" in done.stderr


def test_a_key_that_does_not_sign_is_the_reason_and_not_the_network(
    publish: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(key: FileKey, digest: bytes) -> bytes:
        raise HsmNotAnswering("the key is gone.", cure="put it back")

    monkeypatch.setattr(FileKey, "sign_digest", fail)

    done = publish()

    assert done.returncode == HsmNotAnswering.exit_code
    assert "the key is gone. Try: put it back" in done.stderr.replace("\n", " ").replace("  ", " ")
