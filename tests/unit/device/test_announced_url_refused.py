"""A URL that a fleet announces and that does not prove to be the fleet's is not taken up: the old one goes on."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device.configuration import Configuration
from tests.support.device.announced_url import (
    NOT_DUE,
    NOWHERE,
    RENEW,
    beside,
    changed,
    device,
    make_due,
    new,
    urls,
    warnings,
)
from tests.support.device.authority import Authority
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.hostile_configurations import CONFIGURATION
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["device", "new", "zymkey_iot"]


@contextmanager
def _untrusted(est: EstServer, folder: Path) -> Iterator[EstServer]:
    stranger = Authority("a stranger")
    folder.mkdir()
    stranger.write_server(folder, "localhost")
    with beside(est, est.authority, folder / "localhost.pem") as server:
        yield server


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
    "another fleet": (lambda new, _: changed(new, fleet="another"), "its fleet is another, and not loopback"),
    "another endpoint": (
        lambda new, _: changed(new, dataEndpoint="evil.example"),
        "its data endpoint is evil.example, and not localhost",
    ),
    "another port": (lambda new, _: changed(new, httpsPort=8443), "its https port is 8443"),
    "announces the old one": (lambda new, est: changed(new, enrollmentUrl=est.url), "in its turn"),
    "announces a third": (lambda new, _: changed(new, enrollmentUrl=NOWHERE), f"announces {NOWHERE} in its turn"),
    "announces none": (lambda new, _: changed(new, enrollmentUrl=None), "announces no URL in its turn"),
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
