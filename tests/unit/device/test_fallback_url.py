"""After a fleet has announced another enrollment URL, one of the two does not serve: the other one is asked."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.device.announced_url import (
    RENEW,
    beside,
    changed,
    device,
    make_due,
    moved,
    new,
    urls,
    warnings,
)
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["device", "moved", "new", "zymkey_iot"]


# The new one fails later: the old one serves


LATER: dict[str, Callable[[EstServer], object]] = {
    "gone": lambda new: new._server.server_close(),
    "not found": lambda new: new.answers.extend([Answer(404, b"not found")] * 20),
    "forbidden": lambda new: new.answers.extend([Answer(403, b'{"message":"Forbidden"}')] * 20),
    "another's": lambda new: new.answers.extend([Answer(401, b"Who are you?")] * 20),
    "failing": lambda new: new.answers.extend([Answer(503)] * 20),
    "a web page": lambda new: new.answers.extend([Answer(200, b"<html>")] * 20),
    "a redirect": lambda new: new.answers.extend([Answer(301, b"", {"Location": "https://x.example"})] * 20),
}


@pytest.mark.parametrize("how", LATER)
def test_when_the_new_url_does_not_serve_any_more_the_old_one_is_asked(
    moved: Pi, est: EstServer, authority: Authority, pki: Path, zymkey_iot: Command, how: str
) -> None:
    with beside(est, authority, pki / "localhost.pem") as third:
        est.configuration["enrollmentUrl"] = third.url
        assert zymkey_iot("renew", "--give-up-after", "0s").returncode == 0
        assert urls(moved)[0] == third.url
        make_due(est)
        before = (moved.state / "certificate.pem").read_bytes()
        LATER[how](third)
        other = urls(moved)[1]

        done = zymkey_iot("renew", "--give-up-after", "0s", "--json")

        assert done.returncode == 0, done.stderr
        assert (moved.state / "certificate.pem").read_bytes() != before
        assert urls(moved) == (other, third.url), "the one that works comes first, and none is forgotten"
        told = warnings(done.stdout)
        assert f"{third.url} does not serve: " in told[0]
        assert f"{other} does, and was asked in its place." in told[0]


def test_a_device_without_its_old_url_stays_with_the_new_one(
    moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    est.answers = [Answer(404)] * 9
    assert zymkey_iot(*RENEW).returncode == 0
    assert urls(moved) == (new.url, est.url)


@pytest.mark.parametrize("changes", [{"fleet": "another"}, {"dataEndpoint": "127.0.0.1"}, {"mqttPort": 1}], ids=repr)
def test_the_old_one_is_not_believed_when_it_has_become_another_fleets(
    moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command, changes: dict[str, Any]
) -> None:
    """A name that was given up, and that somebody else holds now."""
    new.answers = [Answer(404)] * 9
    est.configuration = est.configuration | changes
    before = moved.files()
    assert zymkey_iot(*RENEW).returncode == 6
    assert moved.files() == before
    assert est.enrollments == []


def test_the_old_one_cannot_lead_to_another_credential_provider(
    device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    """Whoever holds a name that was given up would give programs credentials of an account of their own."""
    est.configuration["credentials"] = {"endpoint": "credentials.example.com", "roleAlias": "loopback-device"}
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert zymkey_iot(*RENEW).returncode == 0
    make_due(est)
    new.answers = [Answer(404)] * 9
    elsewhere = {"endpoint": "credentials.example.org", "roleAlias": "loopback-device"}
    est.configuration = est.configuration | {"credentials": elsewhere}
    before = device.files()
    assert zymkey_iot(*RENEW).returncode == 6
    assert device.files() == before

    est.configuration = est.configuration | {"credentials": None}
    assert zymkey_iot(*RENEW).returncode == 0, "a fleet that gives no credentials any more is the same one"


def test_when_neither_serves_the_error_is_that_of_the_first(
    moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    est.answers = [Answer(404)] * 9
    new.answers = [Answer(401, b"Unknown.")] * 9
    before = moved.files()
    done = zymkey_iot(*RENEW)
    assert done.returncode == 6
    assert "does not know pi-7" in done.stderr
    assert moved.files() == before


def test_a_wait_for_a_signature_is_no_failure_of_the_url(
    moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    new.answers = [Answer(202, b"", {"Retry-After": "3600"})]
    assert zymkey_iot(*RENEW).returncode == 7
    assert est.asked == []


# Announced, not proved, and the old one is gone


@pytest.fixture
def stranded(device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command) -> Pi:
    """The announced URL did not serve at one renewal; at the next one the old one does not serve any more."""
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    new.answers = [Answer(404)] * 3
    assert zymkey_iot("renew", "--give-up-after", "0s").returncode == 0
    assert urls(device) == (est.url, None)
    make_due(est)
    new.answers.clear()
    est.answers = [Answer(404)] * 20
    return device


def test_a_url_that_could_not_be_proved_is_the_last_resort(
    stranded: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    done = zymkey_iot(*RENEW)
    assert done.returncode == 0, done.stderr
    assert urls(stranded) == (new.url, est.url)


@pytest.mark.parametrize("changes", [{"fleet": "another"}, {"dataEndpoint": "127.0.0.1"}, {"httpsPort": 1}], ids=repr)
def test_the_last_resort_has_to_be_this_fleet(
    stranded: Pi, est: EstServer, new: EstServer, zymkey_iot: Command, changes: dict[str, Any]
) -> None:
    changed(new, **changes)
    before = stranded.files()
    assert zymkey_iot(*RENEW).returncode == 6
    assert stranded.files() == before
    assert new.enrollments == []


def test_the_last_resort_cannot_lead_to_another_endpoint_after_it_was_looked_at(
    stranded: Pi, est: EstServer, new: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    right = Answer(200, json.dumps(new.configuration).encode())
    issued = len(endpoint.published)
    new.configuration = new.configuration | {"dataEndpoint": "127.0.0.1"}
    serve = new.serve
    looked: list[str] = []

    def first_right(handler: Any) -> None:
        if handler.path == "/stage/configuration" and not looked:
            looked.append(handler.path)
            new.answers.append(right)
        serve(handler)

    new.serve = first_right  # type: ignore[method-assign]
    certificate = (stranded.state / "certificate.pem").read_bytes()
    done = zymkey_iot(*RENEW)
    assert done.returncode == 8, done.stderr
    assert "is not this fleet's: its data endpoint is 127.0.0.1, and not localhost" in done.stderr
    assert (stranded.state / "certificate.pem").read_bytes() == certificate
    assert urls(stranded) == (est.url, None)
    assert len(endpoint.published) == issued
