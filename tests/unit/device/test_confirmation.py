"""After a renewal a device says once that its new certificate works: when it does, and its programs were told."""

import json
import shutil
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import EstServer
from tests.support.device.fragile_pi import FragilePi, fragile, preloaded
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["fragile", "preloaded", "zymkey_iot"]

CONFIRM = "zymkey/loopback/seen/{certificate}"
SEEN = CONFIRM.removesuffix("{certificate}")


@pytest.fixture
def due(pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command, tmp_path: Path) -> Pi:
    """A device whose renewal is due, in a fleet with the topic."""
    pi.environment["ZYMKEY_IOT_ON_RENEW"] = str(tmp_path / "on-renew.d")
    (tmp_path / "on-renew.d").mkdir()
    endpoint.allowed = ""
    est.configuration["lifecycle"] = {"confirm": CONFIRM, "renew": "zymkey/loopback/renew/{device}"}
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert zymkey_iot("bootstrap").returncode == 0
    est.issued.clear()
    est.valid_since = timedelta(0)
    return pi


def said(endpoint: DataEndpoint) -> list[str]:
    """Of which certificates it was said that they work: the ends of the topics."""
    return [each.topic.removeprefix(SEEN) for each in endpoint.published if each.topic.startswith(SEEN)]


def in_use(zymkey_iot: Command) -> str:
    return str(json.loads(zymkey_iot("status", "--json").stdout)["certificateId"])


def test_it_is_the_last_word_of_a_renewal_over_the_new_certificate(
    due: Pi, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    assert said(endpoint) == [], "the first certificate has none before it"

    assert zymkey_iot("renew", "--if-due").returncode == 0

    last, word = endpoint.published[-2:]
    assert last.topic == "devices/pi-7/bootstrap"
    assert said(endpoint) == [in_use(zymkey_iot)]
    assert json.loads(word.payload) == {"device": "pi-7"}
    assert word.certificate == last.certificate


def test_it_is_said_once(due: Pi, endpoint: DataEndpoint, zymkey_iot: Command) -> None:
    assert zymkey_iot("renew", "--if-due").returncode == 0
    for words in (["renew", "--if-due"], ["renew"], ["bootstrap"]):
        zymkey_iot(*words)
    assert len(said(endpoint)) == 1


def test_a_renewal_by_bootstrap_says_it_too(due: Pi, endpoint: DataEndpoint, zymkey_iot: Command) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    assert said(endpoint) == [in_use(zymkey_iot)]


@pytest.mark.parametrize("status", [403, 429, 500])
def test_what_aws_iot_does_not_take_is_a_note_and_said_by_the_next_run(
    due: Pi, endpoint: DataEndpoint, zymkey_iot: Command, status: int
) -> None:
    endpoint.statuses = [200, status]

    done = zymkey_iot("renew", "--if-due")

    assert done.returncode == 0
    assert "the next run says it" in done.stdout + done.stderr
    assert zymkey_iot("renew", "--if-due").returncode == 13
    assert said(endpoint)[-1] == in_use(zymkey_iot)


def test_while_a_program_may_still_use_the_old_certificate_nothing_is_said(
    due: Pi, endpoint: DataEndpoint, zymkey_iot: Command, tmp_path: Path
) -> None:
    hook = tmp_path / "on-renew.d" / "10-restart"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert zymkey_iot("renew", "--if-due").returncode == 15
    assert said(endpoint) == []

    hook.write_text("#!/bin/sh\nexit 0\n")
    assert zymkey_iot("renew", "--if-due").returncode == 13

    assert said(endpoint) == [in_use(zymkey_iot)]


def test_a_power_cut_at_any_moment_loses_no_word(
    due: Pi, est: EstServer, endpoint: DataEndpoint, fragile: FragilePi, zymkey_iot: Command, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    shutil.copytree(due.state, before)
    assert fragile.run("renew", "--if-due", at=0) == 0, fragile.said
    calls = fragile.calls()
    (first,) = (at for at, call in enumerate(calls, 1) if call.startswith("open") and "on-renew" in call)
    for at in range(first, len(calls) + 1, 4):
        shutil.rmtree(due.state)
        shutil.copytree(before, due.state)
        est.issued.clear()
        endpoint.published.clear()

        assert fragile.run("renew", "--if-due", at=at) == -signal.SIGKILL
        assert fragile.run("renew", "--if-due", at=0) in (0, 13), fragile.said

        assert said(endpoint)[-1] == in_use(zymkey_iot), calls[at - 1]


def test_it_costs_the_hsm_the_signature_that_the_request_costs_no_more(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, est: EstServer, endpoint: DataEndpoint
) -> None:
    endpoint.allowed = ""
    est.configuration["lifecycle"] = {"confirm": CONFIRM}
    assert zymkey_pi.run("bootstrap").returncode == 0
    assert zymkey.signatures() == 2
    est.issued.clear()

    assert zymkey_pi.run("renew").returncode == 0

    assert len(said(endpoint)) == 1
    assert zymkey.signatures() == 4


@pytest.mark.parametrize(
    "lifecycle",
    [
        None,
        [],
        {},
        {"confirm": 7},
        {"confirm": "zymkey/loopback/seen"},
        {"confirm": "zymkey/#/{certificate}"},
        {"confirm": "$aws/{certificate}"},
        {"confirm": "{certificate}" * 2},
        {"confirm": "x" * 300 + "{certificate}"},
    ],
)
def test_a_fleet_without_the_topic_and_one_that_names_none_lose_nothing_by_it(
    due: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command, lifecycle: Any
) -> None:
    est.configuration["lifecycle"] = lifecycle
    published = len(endpoint.published)

    assert zymkey_iot("renew", "--if-due").returncode == 0

    assert len(endpoint.published) == published + 1
    assert json.loads(zymkey_iot("status", "--json").stdout)["renewalTopic"] is None


def test_status_names_the_topic_on_which_a_program_hears_that_the_device_shall_renew(
    due: Pi, zymkey_iot: Command
) -> None:
    assert json.loads(zymkey_iot("status", "--json").stdout)["renewalTopic"] == "zymkey/loopback/renew/pi-7"
