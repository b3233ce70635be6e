"""A fleet announces another enrollment URL: it is tried, taken up once it works, and the old one stays beside it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.device.announced_url import (
    NOT_DUE,
    RENEW,
    beside,
    device,
    kept,
    make_due,
    moved,
    new,
    urls,
)
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import EstServer
from tests.support.device.fragile_pi import FragilePi, fragile, preloaded
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import BESIDE, Pi
from tests.support.release import FIRST_RELEASE, sources_of

__all__ = ["device", "fragile", "moved", "new", "preloaded", "zymkey_iot"]


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
