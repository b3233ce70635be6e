"""A fleet announces another enrollment URL: it is tried, taken up once it works, and the old one stays beside it."""

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

import pytest

from device.configuration import Configuration
from tests.support.device.announced_url import (
    NOT_DUE,
    NOWHERE,
    RENEW,
    beside,
    changed,
    device,
    kept,
    make_due,
    moved,
    new,
    settings_file,
    urls,
    warnings,
)
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.diagnosis import Diagnose, Diagnosis
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.fragile_pi import FragilePi, fragile, preloaded
from tests.support.device.hostile_configurations import CONFIGURATION
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import BESIDE, Pi
from tests.support.release import FIRST_RELEASE, sources_of

__all__ = ["device", "fragile", "moved", "new", "preloaded", "settings_file", "zymkey_iot"]


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
    assert {path.name for path in device.state.iterdir()} - BESIDE == {
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
    changed(est, fleet="another")
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
