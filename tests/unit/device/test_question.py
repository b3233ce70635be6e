"""Once a day the timer asks the cloud whether a renewal is wanted that is not due: it costs no signature and no run."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.announced_url import beside, urls
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

DAY = 86_400


@pytest.fixture
def enrolled(pi: Pi, est: EstServer, zymkey_iot: Command) -> Pi:
    """A device that was asked by nobody since its bootstrap, a day ago."""
    assert zymkey_iot("bootstrap").returncode == 0
    last_asked(pi, ago=DAY)
    est.asked.clear()
    return pi


def last_asked(pi: Pi, *, ago: float) -> None:
    moment = time.time() - ago
    os.utime(pi.state / "asked", (moment, moment))


def questions(est: EstServer) -> list[str]:
    return [each.path.rsplit("/", 1)[-1] for each in est.asked]


def test_it_is_asked_once_a_day_and_the_same_certificate_is_no_renewal(
    enrolled: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    before = (enrolled.state / "certificate.pem").read_bytes()
    for _ in range(3):
        done = zymkey_iot("renew", "--if-due")
        assert (done.returncode, done.stderr) == (13, "")
    assert questions(est) == ["simplereenroll"]
    assert (enrolled.state / "certificate.pem").read_bytes() == before


def test_what_the_operator_has_asked_for_is_a_renewal_as_any_other(
    enrolled: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    before = (enrolled.state / "certificate.pem").read_bytes()
    est.issued.clear()

    done = zymkey_iot("renew", "--if-due")

    assert (done.returncode, "Renewed" in done.stdout) == (0, True)
    assert (enrolled.state / "certificate.pem").read_bytes() != before
    assert questions(est) == ["simplereenroll"]


def test_it_costs_the_hsm_no_signature(zymkey_pi: Pi, zymkey: SimulatedZymkey, est: EstServer) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0
    last_asked(zymkey_pi, ago=DAY)

    assert zymkey_pi.run("renew", "--if-due").returncode == 13

    assert (questions(est)[-1], zymkey.signatures()) == ("simplereenroll", 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 503])
def test_a_cloud_that_refuses_or_is_busy_is_a_note_and_asked_again_in_a_day(
    enrolled: Pi, est: EstServer, zymkey_iot: Command, status: int
) -> None:
    est.answers = [Answer(status, b"no.", {"Retry-After": "3600"})]

    done = zymkey_iot("renew", "--if-due")

    assert done.returncode == 13
    assert "the cloud was asked whether a renewal is wanted" in done.stdout + done.stderr
    assert zymkey_iot("renew", "--if-due").returncode == 13
    assert len(est.asked) == 1


def test_without_a_network_it_is_asked_by_the_next_run(
    enrolled: Pi, est: EstServer, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        patch.setenv("NO_PROXY", "")
        assert zymkey_iot("renew", "--if-due").returncode == 13
    assert est.asked == []

    assert zymkey_iot("renew", "--if-due").returncode == 13
    assert questions(est) == ["simplereenroll"]


def test_a_renewal_that_has_to_be_signed_first_is_waited_for_as_one_that_is_due(
    enrolled: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    est.answers = [Answer(202, b"The CSR waits for a signature.", {"Retry-After": "3600"})] * 2

    done = zymkey_iot("renew", "--if-due", "--give-up-after", "0s")

    assert done.returncode == 7
    assert "The old certificate stays in use" in done.stderr


def test_a_clock_that_was_set_back_asks_rather_than_never(enrolled: Pi, est: EstServer, zymkey_iot: Command) -> None:
    last_asked(enrolled, ago=-400 * DAY)
    assert zymkey_iot("renew", "--if-due").returncode == 13
    assert questions(est) == ["simplereenroll"]


def test_a_state_folder_of_an_earlier_release_asks_once(enrolled: Pi, est: EstServer, zymkey_iot: Command) -> None:
    for name in ("asked", "confirmed", "request.pem"):
        (enrolled.state / name).unlink()
    for _ in range(2):
        assert zymkey_iot("renew", "--if-due").returncode == 13
    assert questions(est) == ["simplereenroll"]


def test_a_url_that_the_fleet_announces_is_taken_up_within_a_day(
    enrolled: Pi, est: EstServer, zymkey_iot: Command, authority: Authority, pki: Path
) -> None:
    del enrolled.environment["ENROLLMENT_URL"]
    with beside(est, authority, pki / "localhost.pem") as announced:
        est.configuration["enrollmentUrl"] = announced.url
        assert zymkey_iot("renew", "--if-due").returncode == 13
        assert urls(enrolled) == (announced.url, est.url)


def test_a_renewal_that_was_asked_for_and_broke_off_goes_on_at_the_next_run_also_when_both_end_on_one_day(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As all certificates of Amazon's CA do."""
    issue, end = est.authority.issue, datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
    monkeypatch.setattr(
        est.authority, "issue", lambda key, subject, *, since, until: issue(key, subject, since=since, until=end)
    )
    est.valid_since = timedelta(days=-1)
    assert zymkey_iot("bootstrap").returncode == 0
    est.issued.clear()
    est.valid_since = timedelta(0)
    last_asked(pi, ago=DAY)
    before, endpoint.statuses = (pi.state / "certificate.pem").read_bytes(), [400]
    assert zymkey_iot("renew", "--if-due").returncode == 8
    est.asked.clear()

    assert zymkey_iot("renew", "--if-due").returncode == 0

    assert est.enrollments == []
    assert (pi.state / "certificate.pem").read_bytes() != before


def test_a_request_that_a_move_has_begun_is_left_alone(enrolled: Pi, est: EstServer, zymkey_iot: Command) -> None:
    est.answers = [Answer(202, b"", {"Retry-After": "3600"})]
    assert zymkey_iot("bootstrap", "--name", "pi-8", "--give-up-after", "0s").returncode == 7
    begun = (enrolled.state / "request.pem").read_bytes()
    last_asked(enrolled, ago=DAY)
    est.asked.clear()

    assert zymkey_iot("renew", "--if-due", ZYMKEY_IOT_NAME="pi-7").returncode == 13

    assert (est.asked, (enrolled.state / "request.pem").read_bytes()) == ([], begun)


def test_a_key_that_does_not_sign_is_told_before_a_renewal_needs_it(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, est: EstServer
) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0
    last_asked(zymkey_pi, ago=DAY)
    (zymkey_pi.state / "request.pem").unlink()
    zymkey.fail()

    assert zymkey_pi.run("renew", "--if-due").returncode == 3
