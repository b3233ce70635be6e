"""A device moves to another fleet: certificate, configuration and settings move together, or none of them does."""

import json
import shutil
from collections.abc import Callable

import pytest

from device.retry import retry
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import BESIDE, Pi
from tests.support.device.two_fleets import WHOLE, Fleet, in_use, old, there

__all__ = ["old", "there", "zymkey_iot"]


def test_a_move_that_works_moves_everything(pi: Pi, there: Fleet, zymkey_iot: Command) -> None:
    cloud, endpoint = there
    before = in_use(pi)

    assert zymkey_iot("bootstrap", cloud.url).returncode == 0

    assert all(old != new for old, new in zip(before, in_use(pi), strict=True))
    assert json.loads((pi.state / "device.json").read_text())["url"] == cloud.url
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert endpoint.published[-1].topic == "devices/pi-7/x"
    assert {path.name for path in pi.state.iterdir()} - BESIDE == WHOLE


def test_a_move_that_fails_leaves_all_of_the_old_and_can_be_finished_or_given_up(
    pi: Pi, old: DataEndpoint, there: Fleet, est: EstServer, zymkey_iot: Command
) -> None:
    cloud, endpoint = there
    before = in_use(pi)
    endpoint.statuses = [400]

    assert zymkey_iot("bootstrap", cloud.url).returncode == 8

    assert in_use(pi) == before
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert old.published[-1].topic == "devices/pi-7/x"
    assert zymkey_iot("renew", "--if-due").returncode == 13
    assert json.loads(zymkey_iot("status", "--json").stdout)["url"] == est.url
    half = pi.state.parent / "half"
    shutil.copytree(pi.state, half)

    assert zymkey_iot("bootstrap").returncode == 0  # finishes the move
    assert json.loads((pi.state / "device.json").read_text())["url"] == cloud.url
    assert len(cloud.enrollments) == 1

    shutil.rmtree(pi.state)
    half.rename(pi.state)
    asked = len(est.enrollments)
    assert zymkey_iot("bootstrap", est.url).returncode == 0  # gives it up
    assert in_use(pi) == before
    assert {path.name for path in pi.state.iterdir()} - BESIDE == WHOLE
    assert len(est.enrollments) == asked


def test_a_move_that_has_to_wait_is_continued_by_wait_with_its_own_settings(
    pi: Pi, there: Fleet, old: DataEndpoint, zymkey_iot: Command
) -> None:
    cloud, endpoint = there
    before = in_use(pi)
    cloud.configuration["dataEndpoint"] = "nowhere.invalid"
    cloud.answers = [Answer(202, b"", {"Retry-After": "3600"})]
    assert zymkey_iot("bootstrap", cloud.url, "--endpoint", "localhost").returncode == 7

    assert in_use(pi) == before
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert old.published[-1].topic == "devices/pi-7/x"
    said = zymkey_iot("status")
    assert f"a certificate for pi-7 from {cloud.url}" in said.stdout
    assert "zymkey-iot wait" in said.stdout

    assert zymkey_iot("wait").returncode == 0

    assert endpoint.published
    kept = json.loads((pi.state / "device.json").read_text())
    assert (kept["url"], kept["endpoint"]) == (cloud.url, "localhost")


def test_the_endpoint_of_one_fleet_is_not_taken_to_another(
    pi: Pi, there: Fleet, est: EstServer, old: DataEndpoint, zymkey_iot: Command
) -> None:
    cloud, _ = there
    assert zymkey_iot("bootstrap", "--endpoint", "127.0.0.1", "--https-port", str(old.port)).returncode == 0
    cloud.configuration["dataEndpoint"] = "localhost"

    assert zymkey_iot("bootstrap", cloud.url).returncode == 0

    assert not {"endpoint", "https-port"} & set(json.loads((pi.state / "device.json").read_text()))


def test_the_way_back_to_the_first_fleet_has_its_own_endpoint(
    pi: Pi, there: Fleet, est: EstServer, old: DataEndpoint, zymkey_iot: Command
) -> None:
    cloud, endpoint = there
    assert zymkey_iot("bootstrap", "--endpoint", "127.0.0.1", "--https-port", str(old.port)).returncode == 0
    before = in_use(pi)
    endpoint.statuses = [400]
    assert zymkey_iot("bootstrap", cloud.url).returncode == 8

    assert zymkey_iot("bootstrap", est.url).returncode == 0

    assert in_use(pi) == before
    assert old.published


@pytest.mark.parametrize("has_certificate", [False, True], ids=["waits", "failed its trial"])
def test_a_renewal_in_the_meantime_leaves_alone_what_the_move_has_begun(
    pi: Pi, there: Fleet, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command, has_certificate: bool
) -> None:
    cloud, new = there
    if has_certificate:
        new.statuses = [400]
    else:
        cloud.answers = [Answer(202, b"", {"Retry-After": "3600"})]
    assert zymkey_iot("bootstrap", cloud.url).returncode in (7, 8)
    before = (pi.state / "candidate.json").read_bytes()
    first = (pi.state / "certificate.pem").read_bytes()

    assert zymkey_iot("renew").returncode == 13
    est.issued.clear()
    assert zymkey_iot("renew").returncode == 0

    assert (pi.state / "certificate.pem").read_bytes() != first
    assert json.loads((pi.state / "device.json").read_text())["url"] == est.url
    assert (pi.state / "candidate.json").read_bytes() == before
    assert zymkey_iot("wait").returncode == 0
    assert json.loads((pi.state / "device.json").read_text())["url"] == cloud.url
    assert {path.name for path in pi.state.iterdir()} - BESIDE == WHOLE


class Meanwhile:
    """Has something done in another process while a command waits, without the wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *act: Callable[[], object]) -> None:
        self.acts = list(act)
        changed = {**(retry.__kwdefaults__ or {}), "sleep": self.sleep}
        monkeypatch.setattr(retry, "__kwdefaults__", changed)

    def sleep(self, _: float) -> None:
        if self.acts:
            self.acts.pop(0)()


def test_the_timer_renews_while_a_move_waits_for_its_approval(
    pi: Pi, there: Fleet, est: EstServer, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, _ = there
    cloud.answers = [Answer(202, b"", {"Retry-After": "3600"})] * 3
    assert zymkey_iot("bootstrap", cloud.url).returncode == 7
    est.issued.clear()
    ended: list[int] = []
    Meanwhile(monkeypatch, lambda: ended.append(pi.run("renew").returncode))

    done = zymkey_iot("wait")

    assert (done.returncode, ended) == (0, [0]), done.stderr
    assert json.loads((pi.state / "device.json").read_text())["url"] == cloud.url
    assert {path.name for path in pi.state.iterdir()} - BESIDE == WHOLE


def test_of_two_bootstraps_that_wait_the_later_one_does_not_undo_the_earlier(
    pi: Pi, there: Fleet, est: EstServer, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, _ = there
    est.answers = [Answer(202, b"", {"Retry-After": "3600"})]
    ended: list[int] = []
    Meanwhile(monkeypatch, lambda: ended.append(pi.run("bootstrap", cloud.url).returncode))

    done = zymkey_iot("bootstrap", est.url, "--name", "pi-9", "--give-up-after", "2h")

    assert (done.returncode, ended) == (14, [0]), done
    assert cloud.url in done.stderr
    assert json.loads((pi.state / "device.json").read_text())["url"] == cloud.url
