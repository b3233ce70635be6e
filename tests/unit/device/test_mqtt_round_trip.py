"""`zymkey-iot publish --mqtt`, as a command: the message goes out and comes back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from device import bootstrap, mqtt_publish, retry
from device.errors import HsmNotAnswering
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


@pytest.fixture
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_LIMIT", 0.02)


REFUSALS = ["drop connect", "refuse connect", "drop subscribe", "refuse subscribe", "drop publish"]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_not_final_before_a_new_connection_is_refused_too(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, broker: TopicBroker, zymkey_iot: Command, refusal: str, quick_waits: None
) -> None:
    broker.denial, broker.denials = refusal, 2

    done = zymkey_iot("bootstrap", "--mqtt")

    assert done.returncode == 0, done.stderr
    assert broker.connections == 3
    assert done.stdout.count("not in effect yet: MQTT: ") == 2
    # CSR, publish, and one for each connection.
    assert zymkey.signatures() == 5


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_of_a_device_that_was_let_in_long_ago_is_final_within_seconds(
    broker: TopicBroker, zymkey_iot: Command, refusal: str, quick_waits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    monkeypatch.setattr(bootstrap, "SECOND_OPINION_TIME", 0.5)
    broker.denial = refusal

    done = zymkey_iot("bootstrap", "--mqtt")

    assert done.returncode == (9 if refusal == "drop connect" else 10), done.stderr
    assert broker.connections > 1

    broker.denials = broker.connections + 1
    assert zymkey_iot("bootstrap", "--mqtt").returncode == 0


@pytest.mark.parametrize("obstacle", ["closed", "keep"])
def test_what_is_no_refusal_is_said_at_once(
    broker: TopicBroker, zymkey_iot: Command, obstacle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_publish, "TIMEOUT", 0.3)
    broker.denial = obstacle

    # A port that a setting fixes is not looked for elsewhere.
    done = zymkey_iot("bootstrap", "--mqtt", **({"IOT_MQTT_PORT": "1"} if obstacle == "closed" else {}))

    assert done.returncode == 4, done.stderr
    assert "Again in" not in done.stdout
    assert broker.connections == (0 if obstacle == "closed" else 1)


def test_a_fleet_whose_devices_may_publish_nothing_has_nothing_to_prove(
    zymkey_iot: Command, broker: TopicBroker, est: EstServer
) -> None:
    est.configuration["topics"] = {"publish": [], "subscribe": []}

    done = zymkey_iot("bootstrap", "--mqtt")

    assert done.returncode == 0, done.stderr
    assert broker.messages == []


def test_a_key_that_does_not_sign_is_the_reason_and_not_the_network(
    publish: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(key: FileKey, digest: bytes) -> bytes:
        raise HsmNotAnswering("the key is gone.", cure="put it back")

    monkeypatch.setattr(FileKey, "sign_digest", fail)

    done = publish()

    assert done.returncode == HsmNotAnswering.exit_code
    assert "the key is gone. Try: put it back" in done.stderr.replace("\n", " ").replace("  ", " ")
