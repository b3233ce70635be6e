"""A fleet announces another enrollment URL: it is tried, taken up once it has worked, and the old one stays beside it.

Two servers of one fleet on loopback: what one has issued, the other knows.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device.configuration import Configuration
from device.kept_settings import is_same_fleet
from device.settings import load
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.diagnosis import Diagnose, Diagnosis
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.fragile_pi import FragilePi, fragile, preloaded
from tests.support.device.hostile_configurations import CONFIGURATION
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi
from tests.support.release import FIRST_RELEASE, sources_of

__all__ = ["fragile", "preloaded", "zymkey_iot"]

NOT_DUE = 13
NOWHERE = "https://localhost:1/stage"
RENEW = ("renew", "--if-due", "--give-up-after", "0s")


def kept(pi: Pi) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((pi.state / "device.json").read_text())
    return document


def urls(pi: Pi) -> tuple[str, str | None]:
    return kept(pi)["url"], kept(pi).get("fallback-url")


def warnings(stdout: str) -> list[str]:
    """Those of a report in JSON, but for the one that the key is software."""
    return [each for each in json.loads(stdout)["warnings"] if "SOFTWARE key" not in each]


def make_due(est: EstServer) -> None:
    """The next certificate is a new one; what was issued before is old."""
    est.issued.clear()
    est.valid_since = timedelta(0)


@pytest.fixture
def device(pi: Pi, est: EstServer, zymkey_iot: Command) -> Pi:
    """A device whose certificate is due. It knows what its state folder holds, and the roots."""
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert zymkey_iot("bootstrap").returncode == 0
    for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_KEY"):
        del pi.environment[known]
    make_due(est)
    return pi


@contextmanager
def beside(est: EstServer, authority: Authority, server_pem: Path) -> Iterator[EstServer]:
    """Another address of the same fleet."""
    with EstServer(authority, server_pem) as server:
        server.issue = est.issue  # type: ignore[method-assign]
        server.configuration = est.configuration
        yield server


@pytest.fixture
def new(device: Pi, est: EstServer, authority: Authority, pki: Path) -> Iterator[EstServer]:
    """The address that the fleet announces from now on, at both of its addresses."""
    with beside(est, authority, pki / "localhost.pem") as server:
        est.configuration["enrollmentUrl"] = server.url
        yield server


@pytest.fixture
def moved(device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command) -> Pi:
    """The device after it has taken up the new URL; its next renewal is due."""
    est.valid_for = timedelta(days=100)
    est.valid_since = timedelta(days=-90)
    assert zymkey_iot("renew").returncode == 0
    assert urls(device) == (new.url, est.url)
    make_due(est)
    est.asked.clear()
    new.asked.clear()
    return device


# It is taken up


def test_a_renewal_takes_up_the_announced_url_and_keeps_the_old_one_beside_it(
    device: Pi, est: EstServer, new: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    before = (device.state / "certificate.pem").read_bytes()
    published = len(endpoint.published)

    done = zymkey_iot(*RENEW)

    assert done.returncode == 0, done.stderr
    assert urls(device) == (new.url, est.url)
    assert (device.state / "certificate.pem").read_bytes() != before
    assert len(endpoint.published) == published + 1
    assert f"{new.url} works: used from now on, and {est.url} when it does not serve" in done.stdout
    # One signature: what was sent to one address was sent to the other.
    assert [asked.body for asked in new.enrollments] == [est.enrollments[-1].body]
    assert {path.name for path in device.state.iterdir()} == {
        *("certificate.pem", "configuration.json", "device.json", "key.pem", "lock")
    }


def test_the_next_renewal_asks_the_new_url_alone(
    moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    assert zymkey_iot(*RENEW).returncode == 0
    assert urls(moved) == (new.url, est.url)
    assert (len(new.enrollments), est.asked) == (1, [])


def test_a_renewal_by_hand_takes_it_up_although_no_certificate_is_due(
    device: Pi, est: EstServer, new: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    assert zymkey_iot(*RENEW).returncode == 0
    est.configuration["topics"] = {"publish": ["other/{device}"], "subscribe": []}
    names = ("certificate.pem", "configuration.json")
    before = [(device.state / name).read_bytes() for name in names]
    published = len(endpoint.published)
    est.configuration["enrollmentUrl"] = est.url

    assert zymkey_iot("renew", "--give-up-after", "0s").returncode == NOT_DUE

    assert urls(device) == (est.url, new.url)
    assert [(device.state / name).read_bytes() for name in names] == before, "topics wait for a new certificate"
    assert len(endpoint.published) == published


def test_a_renewal_that_brings_no_certificate_keeps_the_url_and_nothing_else_that_it_was_told(
    device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    del est.configuration["enrollmentUrl"]
    assert zymkey_iot(*RENEW).returncode == 0
    before = kept(device)
    est.configuration["enrollmentUrl"] = new.url
    wrong = ("--endpoint", "127.0.0.1", "--https-port", "1", "--tls", "signer", "--give-up-after", "0s")

    assert zymkey_iot("renew", *wrong).returncode == NOT_DUE

    assert kept(device) == before | {"url": new.url, "fallback-url": est.url}
    assert zymkey_iot("renew", "--give-up-after", "0s", ENROLLMENT_URL=est.url).returncode == NOT_DUE
    assert kept(device) == before | {"url": new.url, "fallback-url": est.url}, "one run's choice is no other run's"


def test_a_renewal_that_is_not_due_asks_nobody(moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command) -> None:
    assert zymkey_iot(*RENEW).returncode == 0
    asked = len(est.asked) + len(new.asked)
    before = moved.files()
    assert zymkey_iot(*RENEW).returncode == NOT_DUE
    assert len(est.asked) + len(new.asked) == asked
    assert moved.files() == before


def test_a_bootstrap_keeps_the_url_that_it_was_given_and_the_announced_one_beside_it(
    pi: Pi, est: EstServer, authority: Authority, pki: Path, zymkey_iot: Command
) -> None:
    """Its operator may have had an old invitation. From the next renewal on it uses the announced one."""
    with beside(est, authority, pki / "localhost.pem") as new:
        est.configuration["enrollmentUrl"] = new.url
        est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
        done = zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN="the-token")
        assert done.returncode == 0, done.stderr
        assert urls(pi) == (est.url, new.url)
        assert f"{new.url} works: kept beside {est.url}, which is set (ENROLLMENT_URL)" in done.stdout
        assert est.enrollments[0].credentials == "pi-7:the-token"
        assert [asked.credentials for asked in new.asked] == [None] * len(new.asked), "the token is for one server"
        for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_KEY"):
            del pi.environment[known]
        make_due(est)
        assert zymkey_iot(*RENEW).returncode == 0
        assert urls(pi) == (new.url, est.url)


def test_a_second_bootstrap_takes_it_up_too_and_a_third_writes_nothing(
    device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    assert urls(device) == (new.url, est.url)
    before, asked = device.files(), len(new.asked)
    assert zymkey_iot("bootstrap").returncode == 0
    assert device.files() == before
    assert len(new.asked) == asked


# It does not serve: the old one goes on


@contextmanager
def _untrusted(est: EstServer, folder: Path) -> Iterator[EstServer]:
    stranger = Authority("a stranger")
    folder.mkdir()
    stranger.write_server(folder, "localhost")
    with beside(est, est.authority, folder / "localhost.pem") as server:
        yield server


def _changed(new: EstServer, **changes: Any) -> None:
    new.configuration = new.configuration | changes


def _issues_another(new: EstServer, est: EstServer) -> None:
    new.issue = lambda csr: EstServer.issue(new, csr)  # type: ignore[method-assign]


BROKEN: dict[str, tuple[Callable[[EstServer, EstServer], object], str]] = {
    "not found": (lambda new, _: new.answers.extend([Answer(404)] * 9), "there is no configuration at"),
    "failing": (lambda new, _: new.answers.extend([Answer(500)] * 9), "cannot send the configuration now (500)"),
    "forbidden": (lambda new, _: new.answers.extend([Answer(403, b'{"message":"Forbidden"}')] * 9), "(403)"),
    "a redirect": (
        lambda new, est: new.answers.extend([Answer(302, b"", {"Location": est.url + "/configuration"})] * 9),
        "there is no configuration at",
    ),
    "no configuration": (lambda new, _: new.answers.extend([Answer(200, b"<html>")] * 9), "not JSON"),
    "another fleet": (lambda new, _: _changed(new, fleet="another"), "its fleet is another, and not loopback"),
    "another endpoint": (
        lambda new, _: _changed(new, dataEndpoint="evil.example"),
        "its data endpoint is evil.example, and not localhost",
    ),
    "another port": (lambda new, _: _changed(new, httpsPort=8443), "its https port is 8443"),
    "announces the old one": (lambda new, est: _changed(new, enrollmentUrl=est.url), "in its turn"),
    "announces a third": (lambda new, _: _changed(new, enrollmentUrl=NOWHERE), f"announces {NOWHERE} in its turn"),
    "announces none": (lambda new, _: _changed(new, enrollmentUrl=None), "announces no URL in its turn"),
    "does not know the key": (lambda new, _: _then(new, Answer(401, b"Unknown.")), "(401)"),
    "makes it wait": (lambda new, _: _then(new, Answer(202, b"", {"Retry-After": "3600"})), "has to wait"),
    "redirects the CSR": (lambda new, est: _then(new, Answer(307, b"", {"Location": est.url})), "redirect"),
    "another certificate": (_issues_another, "sent another certificate than the fleet's"),
}


def _then(new: EstServer, answer: Answer) -> None:
    """A right configuration, and then this."""
    right = Answer(200, json.dumps(new.configuration).encode(), {"Content-Type": "application/json"})
    new.answers.extend([right, answer] * 5)


@pytest.mark.parametrize("how", BROKEN)
def test_a_url_that_does_not_prove_to_be_this_fleets_is_not_taken_up_and_the_renewal_works(
    device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command, how: str
) -> None:
    spoil, said = BROKEN[how]
    before = (device.state / "certificate.pem").read_bytes()
    spoil(new, est)

    done = zymkey_iot(*RENEW)

    assert done.returncode == 0, done.stderr
    assert (device.state / "certificate.pem").read_bytes() != before
    assert urls(device) == (est.url, None)
    sentence = " ".join(done.stdout.split())
    assert f"the fleet announces the enrollment URL {new.url}, which does not serve this device: " in sentence
    assert said in sentence
    assert f"It goes on with {est.url}, and tries the other one again at its next renewal." in sentence

    new.answers.clear()
    new.configuration = est.configuration
    new.issue = est.issue  # type: ignore[method-assign]
    assert zymkey_iot("renew", "--give-up-after", "0s").returncode == NOT_DUE
    assert urls(device) == (new.url, est.url), "tried again"


@pytest.mark.parametrize("how", ["nobody there", "no such name", "a certificate that does not verify"])
def test_a_url_that_is_not_reached_is_not_taken_up_and_the_renewal_works(
    device: Pi, est: EstServer, zymkey_iot: Command, tmp_path: Path, how: str
) -> None:
    with _untrusted(est, tmp_path / "stranger") as untrusted:
        announced = {"nobody there": NOWHERE, "no such name": "https://enroll.invalid"}.get(how, untrusted.url)
        est.configuration["enrollmentUrl"] = announced

        done = zymkey_iot(*RENEW, "--json")

        assert done.returncode == 0, done.stderr
        assert urls(device) == (est.url, None)
        (warning,) = warnings(done.stdout)
        assert f"announces the enrollment URL {announced}, which does not serve this device" in warning
        assert untrusted.asked == []


@pytest.mark.parametrize(
    "url",
    [
        *("http://enroll.example.com", "ftp://enroll.example.com", "enroll.example.com", "//enroll.example.com", ""),
        *("https://user@enroll.example.com", "https://user:pw@enroll.example.com", "https://enroll.example.com?x=1"),
        *(
            "https://enroll.example.com#x",
            "https://",
            "https:///configuration",
            "https://a b.example",
            "HTTP://x.example",
        ),
        *(
            "https://enroll.example.com/../x",
            "https://\u00fc.example",
            "https://x.example:0",
            "https://x.example:99999",
        ),
        *("https://x.example\r\nHost: y", "https://x.example\x1b[2J", "https://x.example/" + "x" * 600, "file:///etc"),
        *(7, True, [], {}, ["https://x.example"]),
    ],
    ids=repr,
)
def test_what_is_no_https_url_of_a_host_is_refused_and_the_rest_of_the_configuration_counts(url: object) -> None:
    read = Configuration.from_json(json.dumps(CONFIGURATION | {"enrollmentUrl": url}).encode())
    assert read.enrollment_url is None
    assert read.announcement_refused
    assert read.announcement_refused.isprintable()
    assert read.publish


def test_a_url_that_is_not_allowed_is_told_and_the_renewal_works(
    device: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    est.configuration["enrollmentUrl"] = est.url.replace("https", "http")
    done = zymkey_iot(*RENEW)
    assert done.returncode == 0, done.stderr
    assert urls(device) == (est.url, None)
    assert "announces an enrollment URL that is not allowed: an enrollment URL starts with https://" in done.stdout


def test_two_servers_that_announce_each_other_move_nobody(
    device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    new.configuration = est.configuration | {"enrollmentUrl": est.url}
    for _ in range(2):
        make_due(est)
        assert zymkey_iot("renew", "--give-up-after", "0s").returncode == 0
        assert urls(device) == (est.url, None)
    assert len(new.enrollments) == 0


def test_one_url_spelled_in_another_way_is_no_other(device: Pi, est: EstServer, zymkey_iot: Command) -> None:
    est.configuration["enrollmentUrl"] = est.url.replace("localhost", "LOCALHOST") + "/.well-known/est/"
    assert zymkey_iot(*RENEW).returncode == 0
    assert urls(device) == (est.url, None)
    assert len(est.enrollments) == 2, "at the bootstrap and at the renewal"


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
    _changed(new, **changes)
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


# A person's choice wins


@pytest.fixture
def settings_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "zymkey-iot.toml"
    monkeypatch.setattr(load, "__kwdefaults__", {**(load.__kwdefaults__ or {}), "files": [file]})
    return file


def test_a_url_in_the_settings_file_stays_and_the_announced_one_is_kept_beside_it(
    device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command, settings_file: Path
) -> None:
    settings_file.write_text(f'url = "{est.url}"\n')

    done = zymkey_iot(*RENEW)

    assert done.returncode == 0, done.stderr
    assert urls(device) == (est.url, new.url)
    assert f"{new.url} works: kept beside {est.url}, which is set ({settings_file})" in done.stdout
    make_due(est)
    new.asked.clear()
    assert zymkey_iot("renew").returncode == 0
    assert new.asked == [], "it is known to work"

    make_due(est)
    est.answers = [Answer(404)] * 9
    done = zymkey_iot("renew", "--give-up-after", "0s")
    assert done.returncode == 0, done.stderr
    assert urls(device) == (est.url, new.url)
    assert f"{est.url} does not serve: " in done.stdout


def test_a_bootstrap_asks_the_server_that_a_person_names_and_no_other(
    moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    est.answers = [Answer(404)] * 9
    assert zymkey_iot("bootstrap", est.url, "--give-up-after", "0s").returncode == 6
    assert new.asked == []


def test_a_bootstrap_with_the_old_url_is_in_the_same_fleet(
    moved: Pi, est: EstServer, new: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap", "--endpoint", "localhost", "--https-port", str(endpoint.port)).returncode == 0
    assert kept(moved)["endpoint"] == "localhost"
    assert zymkey_iot("bootstrap", est.url).returncode == 0
    assert urls(moved) == (est.url, new.url)
    assert kept(moved)["endpoint"] == "localhost", "of another fleet it would be left out"


def test_a_bootstrap_with_the_new_url_keeps_the_old_one_beside_it(
    device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap", new.url).returncode == 0
    assert urls(device) == (new.url, est.url)


def test_a_url_that_an_earlier_release_spelled_in_another_way_is_no_second_one(
    device: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    document = kept(device) | {"url": est.url.replace("localhost", "LOCALHOST") + "/"}
    (device.state / "device.json").write_text(json.dumps(document))
    assert zymkey_iot("bootstrap", est.url).returncode == 0
    assert urls(device) == (est.url, None)
    make_due(est)
    (device.state / "device.json").write_text(json.dumps(document))
    assert zymkey_iot("renew").returncode == 0
    assert urls(device) == (est.url, None)


def test_another_fleet_gets_none_of_these_urls(
    moved: Pi, authority: Authority, pki: Path, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    with EstServer(authority, pki / "localhost.pem", data_port=endpoint.port) as other:
        other.configuration["fleet"] = "another"
        assert zymkey_iot("bootstrap", other.url).returncode == 0
        assert urls(moved) == (other.url, None)


def test_fleets_are_the_same_when_they_share_a_url() -> None:
    a, b, c = ({"url": f"https://{each}.example"} for each in "abc")
    assert is_same_fleet(a, b | {"fallback-url": "https://A.example/"})
    assert is_same_fleet(a | {"fallback-url": "https://c.example"}, b | {"fallback-url": "https://c.example:443"})
    assert not is_same_fleet(a, b | {"fallback-url": c["url"]})
    assert not is_same_fleet({}, {})


# The SD card


def test_a_card_with_the_old_url_leads_nowhere_else_and_is_no_reason_to_warn(
    moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.settings_files.CARD", settings_file)
    settings_file.write_text(f'url = "{est.url}"\nname = "pi-7"\n')

    done = zymkey_iot("renew", "--if-due", "--json")

    assert done.returncode == 0, done.stderr
    assert warnings(done.stdout) == []
    assert est.asked == []
    assert zymkey_iot("bootstrap").returncode == 0
    assert est.asked == []
    assert urls(moved) == (new.url, est.url)


def test_a_card_with_the_url_before_last_leads_nowhere_else_either(
    moved: Pi,
    est: EstServer,
    authority: Authority,
    pki: Path,
    zymkey_iot: Command,
    settings_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("device.settings_files.CARD", settings_file)
    with beside(est, authority, pki / "localhost.pem") as third:
        est.configuration["enrollmentUrl"] = third.url
        other = urls(moved)[0]
        assert zymkey_iot(*RENEW).returncode == 0
        assert urls(moved) == (third.url, other)
        make_due(est)
        settings_file.write_text(f'url = "{est.url}"\nname = "pi-7"\n')
        est.asked.clear()
        for words in (RENEW, ["bootstrap"], ["bootstrap"], [*RENEW[:1], *RENEW[2:]]):
            done = zymkey_iot(*words, "--json")
            assert done.returncode in (0, NOT_DUE), done.stderr
            assert warnings(done.stdout) == []
        assert est.asked == []
        assert urls(moved) == (third.url, other)
        assert kept(moved)["former-urls"] == [est.url]

        settings_file.unlink()
        est.configuration["enrollmentUrl"] = est.url
        make_due(est)
        assert zymkey_iot("renew").returncode == 0, "the fleet comes back"
        assert (urls(moved), kept(moved)["former-urls"]) == ((est.url, third.url), [other])


def test_a_card_with_another_fleets_url_still_moves_a_device_at_a_bootstrap(
    moved: Pi,
    authority: Authority,
    pki: Path,
    endpoint: DataEndpoint,
    zymkey_iot: Command,
    settings_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("device.settings_files.CARD", settings_file)
    with EstServer(authority, pki / "localhost.pem", data_port=endpoint.port) as other:
        other.configuration["fleet"] = "another"
        settings_file.write_text(f'url = "{other.url}"\n')
        said = zymkey_iot("renew", "--if-due")
        assert "this device works with" in said.stdout
        assert zymkey_iot("bootstrap").returncode == 0
        assert urls(moved) == (other.url, None)
        assert "former-urls" not in kept(moved)


# What is shown


def test_status_shows_both_urls(moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command) -> None:
    document = json.loads(zymkey_iot("status", "--json").stdout)
    assert (document["url"], document["fallbackUrl"], document["announcedUrl"]) == (new.url, est.url, new.url)
    shown = zymkey_iot("status").stdout
    assert f"{new.url}, or {est.url} when that does not serve" in shown
    assert "announces" not in shown


def test_status_says_that_the_fleet_has_a_newer_url(
    device: Pi, est: EstServer, zymkey_iot: Command, settings_file: Path
) -> None:
    est.configuration["enrollmentUrl"] = NOWHERE
    assert zymkey_iot(*RENEW).returncode == 0
    document = json.loads(zymkey_iot("status", "--json").stdout)
    assert (document["url"], document["fallbackUrl"], document["announcedUrl"]) == (est.url, None, NOWHERE)
    shown = zymkey_iot("status").stdout
    assert f"the fleet announces {NOWHERE}, which has not worked yet. Try: sudo zymkey-iot renew" in shown
    settings_file.write_text(f'url = "{est.url}"\n')
    shown = zymkey_iot("status").stdout
    assert f"the fleet announces {NOWHERE}; {est.url} is set ({settings_file}). Try: correct it there" in shown


def test_doctor_looks_at_both(moved: Pi, est: EstServer, new: EstServer, diagnose: Diagnose) -> None:
    def found() -> Diagnosis:
        return diagnose("--only", "enrollment", "--only", "enrollment-fallback", "--timeout", "1")

    assert (found().status("enrollment"), found().text("enrollment-fallback")) == ("ok", f"{est.url} answers too")

    est.answers = [Answer(404)] * 9
    said = found()
    assert (said.status("enrollment"), said.status("enrollment-fallback")) == ("ok", "warning")
    assert f"asks there only when {new.url} does not serve" in said.text("enrollment-fallback")

    est.answers, new.answers = [], [Answer(404)] * 9
    said = found()
    assert (said.status("enrollment"), said.status("enrollment-fallback")) == ("failed", "ok")
    assert f"a renewal works, although {new.url} does not serve" in said.text("enrollment-fallback")

    est.answers = [Answer(404)] * 9
    assert found().status("enrollment-fallback") == "failed"

    est.answers, new.answers = [], []
    _changed(est, fleet="another")
    assert "its fleet is another" in found().text("enrollment-fallback")


def test_doctor_tells_a_newer_url_that_a_setting_keeps_from_use(
    device: Pi, est: EstServer, new: EstServer, diagnose: Diagnose, zymkey_iot: Command
) -> None:
    said = diagnose("--only", "enrollment")
    assert said.status("enrollment") == "ok", "an announcement is no change that a device waits for"
    assert f"it announces {new.url}, which the next renewal tries" in said.text("enrollment")
    assert (
        diagnose("--only", "enrollment-fallback").text("enrollment-fallback") == "this device knows one enrollment URL"
    )

    said = diagnose("--only", "enrollment", ENROLLMENT_URL=est.url)
    assert said.status("enrollment") == "warning"
    assert f"{est.url} is set (ENROLLMENT_URL)" in said.text("enrollment")
    assert said.cure("enrollment").startswith(f"set {new.url} there")

    est.configuration["enrollmentUrl"] = "http://enroll.example.com"
    said = diagnose("--only", "enrollment")
    assert said.status("enrollment") == "warning"
    assert "announces an enrollment URL that is not allowed" in said.text("enrollment")


# Other releases


def test_a_device_of_the_first_release_works_with_a_fleet_that_announces_a_url_and_is_then_updated(
    pi: Pi, est: EstServer, authority: Authority, pki: Path, tmp_path: Path, zymkey_iot: Command
) -> None:
    (tmp_path / "release").mkdir()
    folder = sources_of(FIRST_RELEASE, tmp_path / "release")
    with beside(est, authority, pki / "localhost.pem") as new:
        est.configuration["enrollmentUrl"] = new.url

        def first_release(*words: str) -> "subprocess.CompletedProcess[str]":
            environment = {**os.environ, **pi.environment, "PYTHONPATH": str(folder)}
            return subprocess.run(
                [sys.executable, "-m", "device", *words], cwd=folder, env=environment, capture_output=True, text=True
            )

        est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
        done = first_release("bootstrap")
        assert done.returncode == 0, done.stderr
        assert (urls(pi), new.asked) == ((est.url, None), [])
        for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_KEY"):
            del pi.environment[known]
        make_due(est)

        assert zymkey_iot(*RENEW).returncode == 0, "this release takes over"

        assert urls(pi) == (new.url, est.url)
        make_due(est)
        done = first_release("renew")
        assert done.returncode == 0, done.stderr  # and gives back


# Power cuts


SAMPLED = pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)], ids=["sample", "all"])


@SAMPLED
def test_a_power_cut_anywhere_leaves_a_url_that_works(
    device: Pi, est: EstServer, new: EstServer, fragile: FragilePi, zymkey_iot: Command, stride: int
) -> None:
    start = device.state.parent / "start"
    shutil.copytree(device.state, start)
    assert fragile.run("renew", "--if-due", at=0) == 0, fragile.said
    assert urls(device) == (new.url, est.url)
    points = len(fragile.calls())
    assert points > 15
    for at in range(1, points + 1, stride):
        shutil.rmtree(device.state)
        shutil.copytree(start, device.state)
        est.issued.clear()

        assert fragile.run("renew", "--if-due", at=at) == -signal.SIGKILL, fragile.calls()[at - 1]
        shown = json.loads(zymkey_iot("status", "--json").stdout)
        assert (shown["url"], shown["fallbackUrl"]) in ((est.url, None), (new.url, est.url)), fragile.calls()[at - 1]
        assert fragile.run("renew", at=0) in (0, NOT_DUE), fragile.said

        assert urls(device) == (new.url, est.url), fragile.calls()[at - 1]
        assert not {"candidate.json", "promotion.json"} & {path.name for path in device.state.iterdir()}
