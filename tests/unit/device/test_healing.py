"""The timer's command puts right what bootstrap would, and is no second device when its card is a copy."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from device.candidate import Candidate
from device.retry import retry
from device.settings import load
from device.store import StateFolder
from tests.support.device.authority import DAY, Authority, common_name, now
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

NOT_DUE, UNUSABLE, REFUSED = 13, 12, 9
TIMER = ("renew", "--if-due")


@pytest.fixture
def enrolled(pi: Pi, zymkey_iot: Command) -> Pi:
    """A device that has what its state folder holds, as under the timer."""
    assert zymkey_iot("bootstrap").returncode == 0
    for variable in list(pi.environment):
        if variable != "ZYMKEY_IOT_STATE":
            del pi.environment[variable]
    return pi


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: path.write_bytes(b"\0" * 900),
        lambda path: path.unlink(),
    ],
    ids=["empty", "half", "zeros", "missing"],
)
@pytest.mark.parametrize("name", ["certificate.pem", "configuration.json"])
def test_a_file_that_cannot_be_read_comes_back(
    enrolled: Pi, est: EstServer, zymkey_iot: Command, name: str, spoil: Callable[[Path], object]
) -> None:
    path = enrolled.state / name
    whole, certificate = path.read_bytes(), (enrolled.state / "certificate.pem").read_bytes()
    spoil(path)

    done = zymkey_iot(*TIMER)

    assert done.returncode in (0, NOT_DUE), done.stderr
    assert path.read_bytes() == whole
    assert (enrolled.state / "certificate.pem").read_bytes() == certificate, "the same key gets the same certificate"
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert zymkey_iot(*TIMER).returncode == NOT_DUE


def candidate_of(pi: Pi, authority: Authority, since: timedelta, until: timedelta) -> bytes:
    """Leave a candidate behind, as an interrupted renewal does; return its PEM."""
    folder = StateFolder(pi.state)
    key = load_pem_private_key((pi.state / "key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    issued = authority.issue(key.public_key(), common_name("pi-7"), since=now() + since, until=now() + until)
    pem = issued.public_bytes(Encoding.PEM)
    folder.keep_candidate(Candidate(device=folder.device(), certificate=pem))
    return pem


def test_a_candidate_that_is_expired_does_not_stand_in_the_way_of_a_renewal(
    enrolled: Pi, est: EstServer, authority: Authority, zymkey_iot: Command
) -> None:
    folder = StateFolder(enrolled.state)
    in_use = candidate_of(enrolled, authority, -90 * DAY, -20 * DAY)
    (enrolled.state / "certificate.pem").write_bytes(in_use)
    expired = candidate_of(enrolled, authority, -60 * DAY, -10 * DAY)
    est.issued.clear()

    done = zymkey_iot(*TIMER)

    assert done.returncode == 0, done.stderr
    assert folder.certificate() not in (in_use, expired)
    assert folder.candidate() is None
    assert json.loads(zymkey_iot("status", "--json").stdout)["state"] == "valid"


def test_a_candidate_that_is_fresh_is_used_without_a_request(
    enrolled: Pi, est: EstServer, authority: Authority, zymkey_iot: Command
) -> None:
    fresh = candidate_of(enrolled, authority, -DAY, 700 * DAY)
    asked = len(est.enrollments)

    assert zymkey_iot(*TIMER).returncode == 0

    assert StateFolder(enrolled.state).certificate() == fresh
    assert len(est.enrollments) == asked


def test_the_candidate_of_a_move_is_no_renewal(
    enrolled: Pi, est: EstServer, authority: Authority, zymkey_iot: Command
) -> None:
    folder = StateFolder(enrolled.state)
    pem = candidate_of(enrolled, authority, -DAY, 700 * DAY)
    moving = {**folder.device(), "url": "https://elsewhere.example"}
    folder.keep_candidate(Candidate(device=moving, certificate=pem))

    assert zymkey_iot(*TIMER).returncode == NOT_DUE

    assert folder.certificate() != pem
    assert folder.candidate() is not None


# A card that was copied


@pytest.fixture
def copied(enrolled: Pi) -> Pi:
    """The card in another device: everything is as the first one left it, but the key is another."""
    other = ec.generate_private_key(ec.SECP256R1())
    (enrolled.state / "key.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return enrolled


@pytest.mark.parametrize("certificate", ["whole", "missing", "garbage"])
def test_a_copied_card_does_not_ask_for_a_certificate_in_the_first_devices_name(
    copied: Pi, est: EstServer, zymkey_iot: Command, certificate: str
) -> None:
    path = copied.state / "certificate.pem"
    if certificate == "missing":
        path.unlink()
    elif certificate == "garbage":
        path.write_bytes(b"?")
    before, asked = copied.files(), len(est.asked)

    for given in ({}, {"ZYMKEY_IOT_NAME": "pi-7"}):
        done = zymkey_iot(*TIMER, **given)

        assert done.returncode == UNUSABLE
        assert "this card is a copy of another device's" in done.stderr
        assert "bootstrap --name ANOTHER" in done.stderr
        assert "zymkey-fleet replace NAME" in done.stderr
    assert copied.files() == before
    assert len(est.asked) == asked


def test_a_board_that_takes_over_the_name_bootstraps_over_what_the_card_holds(
    copied: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    """``zymkey-fleet replace`` has printed the command; the name is the one that the old key had."""
    first = (copied.state / "certificate.pem").read_bytes()

    done = zymkey_iot("bootstrap", est.url, "--name", "pi-7", ZYMKEY_IOT_TOKEN="a-token")

    assert done.returncode == 0, done.stderr
    assert (copied.state / "certificate.pem").read_bytes() != first
    assert endpoint.published[-1].topic == "devices/pi-7/bootstrap"
    shown = json.loads(zymkey_iot("status", "--json").stdout)
    assert (shown["name"], shown["state"]) == ("pi-7", "valid")
    assert zymkey_iot(*TIMER).returncode == NOT_DUE


def test_a_copied_card_with_a_name_of_its_own_enrolls_as_itself(
    copied: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    first = (copied.state / "certificate.pem").read_bytes()

    done = zymkey_iot(*TIMER, ZYMKEY_IOT_NAME="pi-8")

    assert done.returncode == 0, done.stderr
    assert "belongs to pi-7 and its key" in done.stdout
    assert (copied.state / "certificate.pem").read_bytes() != first
    assert endpoint.published[-1].topic == "devices/pi-8/bootstrap"
    shown = json.loads(zymkey_iot("status", "--json").stdout)
    assert (shown["name"], shown["state"]) == ("pi-8", "valid")
    assert zymkey_iot(*TIMER).returncode == NOT_DUE


def test_the_settings_file_on_a_copied_card_names_the_copy_and_never_leads_the_first_device_away(
    enrolled: Pi, est: EstServer, zymkey_iot: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tmp_path / "card.toml"
    card.write_text('name = "pi-8"\n')
    monkeypatch.setattr("device.settings_files.CARD", card)
    monkeypatch.setattr(load, "__kwdefaults__", {**(load.__kwdefaults__ or {}), "files": [card]})
    before = enrolled.files()

    first = zymkey_iot("renew")

    assert (first.returncode, f"{card} has name = pi-8" in first.stdout) == (NOT_DUE, True), first
    assert enrolled.files() == before
    other = ec.generate_private_key(ec.SECP256R1())
    (enrolled.state / "key.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    assert zymkey_iot(*TIMER).returncode == 0
    assert json.loads((enrolled.state / "device.json").read_text())["name"] == "pi-8"


def test_a_copied_card_whose_own_enrollment_is_refused_keeps_the_first_devices_files(
    copied: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    before = copied.files()
    est.answers = [Answer(401, b"Nobody invited this key.")]

    assert zymkey_iot(*TIMER, ZYMKEY_IOT_NAME="pi-8").returncode == 6

    assert copied.files() == before


# What would only show on the day when the renewal is due


def test_roots_that_are_gone_or_not_for_this_user_are_said_at_every_check(
    pi: Pi, est: EstServer, zymkey_iot: Command, tmp_path: Path
) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(Path(pi.environment["CA_BUNDLE"]).read_bytes())
    pi.environment["CA_BUNDLE"] = str(roots)
    assert zymkey_iot("bootstrap").returncode == 0
    del pi.environment["CA_BUNDLE"]
    assert zymkey_iot(*TIMER).returncode == NOT_DUE
    roots.unlink()
    asked = len(est.asked)

    done = zymkey_iot(*TIMER)

    assert (done.returncode, str(roots) in done.stderr, len(est.asked)) == (2, True, asked)


def test_a_hook_that_waits_is_run_although_the_key_does_not_answer(
    enrolled: Pi, zymkey_iot: Command, tmp_path: Path
) -> None:
    hooks = tmp_path / "on-renew.d"
    hooks.mkdir(mode=0o755)
    (hooks / "10-tell").write_text(f"#!/bin/sh\ntouch {tmp_path / 'told'}\n")
    (hooks / "10-tell").chmod(0o755)
    (enrolled.state / "on-renew.pending").touch()
    (enrolled.state / "key.pem").unlink()

    assert zymkey_iot(*TIMER, ZYMKEY_IOT_ON_RENEW=str(hooks)).returncode == 3

    assert (tmp_path / "told").exists()


# How long a run may take


def test_an_interrupted_bootstrap_that_is_repeated_gets_time_to_settle(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    endpoint.statuses = [400]
    assert zymkey_iot("bootstrap").returncode == 8
    endpoint.refuse, endpoint.statuses = ["end"], [403]

    done = zymkey_iot("bootstrap")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("not in effect yet") == 2
    assert len(est.enrollments) == 1


@pytest.mark.parametrize("command", ["bootstrap", "renew"])
def test_the_time_limit_bounds_the_trial_too(
    enrolled: Pi, est: EstServer, endpoint: DataEndpoint, authority: Authority, zymkey_iot: Command, command: str
) -> None:
    candidate_of(enrolled, authority, -DAY, 700 * DAY)
    endpoint.refuse = ["end"] * 1000
    started = time.monotonic()

    assert zymkey_iot(command, "--give-up-after", "0.3s").returncode == REFUSED

    assert time.monotonic() - started < 10


def test_what_one_step_has_used_up_is_not_there_for_the_next(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    busy = Answer(503, b"", {"Retry-After": "50"})
    endpoint.refuse = ["end"] * 1000
    est.answers = [busy, busy, busy]

    assert zymkey_iot("bootstrap", "--give-up-after", "180s").returncode == REFUSED

    assert 150 <= clock.seconds <= 180, "three waits for the cloud, and no more than the rest for AWS IoT"


class Clock:
    """Sleeping moves it; nothing else does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr("device.retry.Deadline.__init__.__kwdefaults__", {"clock": lambda: self.seconds})
        changed = {"clock": lambda: self.seconds, "sleep": self.sleep}
        defaults = {**(retry.__kwdefaults__ or {}), **changed}
        monkeypatch.setattr("device.retry.retry.__kwdefaults__", defaults)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
