"""`zymkey-iot status` of a device that is not in order: one word for programs, a sentence for people, an exit code."""

import datetime
import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from device.store import StateFolder
from tests.support.device.authority import DAY, Authority, common_name, now
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

UNUSABLE = 12


@pytest.fixture
def enrolled(pi: Pi, zymkey_iot: Command) -> Pi:
    assert zymkey_iot("bootstrap").returncode == 0
    return pi


def state(zymkey_iot: Command) -> tuple[int, str]:
    done = zymkey_iot("status", "--json")
    return done.returncode, json.loads(done.stdout)["state"]


def test_another_key_than_the_certificates(enrolled: Pi, zymkey_iot: Command) -> None:
    (enrolled.state / "key.pem").unlink()
    enrolled.environment["ZYMKEY_IOT_NAME"] = "pi-8"
    assert zymkey_iot("bootstrap", "--state", str(enrolled.state / "other")).returncode == 0
    enrolled.environment["ZYMKEY_IOT_KEY"] = f"file:{enrolled.state / 'other' / 'key.pem'}"

    assert state(zymkey_iot) == (UNUSABLE, "other key")
    assert "another key" in zymkey_iot("status").stdout


def test_a_key_that_does_not_answer_leaves_the_certificate_to_be_seen(enrolled: Pi, zymkey_iot: Command) -> None:
    (enrolled.state / "key.pem").unlink()

    done = zymkey_iot("status", "--json")

    shown = json.loads(done.stdout)
    assert (done.returncode, shown["state"], shown["fingerprint"]) == (3, "valid", None)
    assert shown["certificateId"]
    text = zymkey_iot("status").stdout
    assert "there is no key in" in text
    assert "days left" in text


@pytest.mark.parametrize(
    ("since", "until", "found", "sentence"),
    [
        (DAY, 30 * DAY, (UNUSABLE, "not yet valid"), "timedatectl"),
        (-300 * DAY, DAY, (0, "due"), "days left"),
        (-2 * DAY, -DAY, (UNUSABLE, "expired"), "zymkey-iot bootstrap"),
    ],
)
def test_a_certificate_out_of_its_time(
    enrolled: Pi,
    authority: Authority,
    zymkey_iot: Command,
    since: datetime.timedelta,
    until: datetime.timedelta,
    found: tuple[int, str],
    sentence: str,
) -> None:
    key = load_pem_private_key((enrolled.state / "key.pem").read_bytes(), None).public_key()
    certificate = authority.issue(key, common_name("pi-7"), since=now() + since, until=now() + until)
    (enrolled.state / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))

    assert state(zymkey_iot) == found
    assert sentence in zymkey_iot("status").stdout


def test_a_newer_certificate_that_waits_for_its_trial(enrolled: Pi, zymkey_iot: Command) -> None:
    folder = StateFolder(enrolled.state)
    folder.keep_candidate(folder.in_use())

    assert json.loads(zymkey_iot("status", "--json").stdout)["untriedCertificate"]
    assert "not tried yet" in zymkey_iot("status").stdout


@pytest.mark.parametrize("content", [b"", b"{", None], ids=["empty", "half", "missing"])
def test_a_configuration_that_cannot_be_used_is_said_because_nothing_can_be_published(
    enrolled: Pi, zymkey_iot: Command, content: bytes | None
) -> None:
    path = enrolled.state / "configuration.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    assert state(zymkey_iot) == (UNUSABLE, "valid")
    assert "configuration.json" in json.loads(zymkey_iot("status", "--json").stdout)["configurationError"]
    assert "zymkey-iot bootstrap" in zymkey_iot("status").stdout
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == UNUSABLE
    assert zymkey_iot("renew", "--if-due").returncode == 13, "it heals it"
    assert state(zymkey_iot) == (0, "valid")
