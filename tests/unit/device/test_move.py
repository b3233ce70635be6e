"""A device moves to another fleet: certificate, configuration and settings move together, or none of them does."""

import errno
import itertools
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from device.retry import retry
from device.store import StateFolder
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.fragile_pi import FragilePi, fragile, preloaded
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import BESIDE, Pi
from tests.support.device.two_fleets import another_fleet, bind

__all__ = ["fragile", "preloaded", "zymkey_iot"]

IN_USE = ("certificate.pem", "configuration.json", "device.json")
WHOLE = {*IN_USE, "key.pem", "lock"}


@pytest.fixture
def old(pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command) -> DataEndpoint:
    """The data endpoint of the fleet that the device is in. Nothing but the state folder and the roots is set."""
    bind(est, endpoint)
    assert zymkey_iot("bootstrap").returncode == 0
    for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_KEY"):
        del pi.environment[known]
    return endpoint


@pytest.fixture
def there(authority: Authority, pki: Path, old: DataEndpoint) -> Iterator[tuple[EstServer, DataEndpoint]]:
    with another_fleet(authority, pki) as fleet:
        yield fleet


Fleet = tuple[EstServer, DataEndpoint]


def in_use(pi: Pi) -> list[bytes]:
    return [(pi.state / name).read_bytes() for name in IN_USE]


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


@pytest.fixture
def same_ca(there: Fleet, est: EstServer) -> Fleet:
    """A deployment in another Region, with the same external CA: the device's certificate is registered there too."""
    cloud, endpoint = there
    cloud.issued.update(est.issued)
    assert endpoint.known is not None
    endpoint.known |= {each.public_bytes(Encoding.DER) for each in est.issued.values()}
    return there


def test_with_one_certificate_that_two_deployments_know_a_device_moves_and_comes_back(
    pi: Pi, same_ca: Fleet, est: EstServer, old: DataEndpoint, zymkey_iot: Command
) -> None:
    cloud, endpoint = same_ca
    before = in_use(pi)

    assert zymkey_iot("bootstrap", cloud.url).returncode == 0

    assert in_use(pi)[0] == before[0]
    assert json.loads((pi.state / "configuration.json").read_text())["httpsPort"] == endpoint.port
    assert [each.topic for each in endpoint.published] == ["devices/pi-7/bootstrap"]
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert endpoint.published[-1].topic == "devices/pi-7/x"

    assert zymkey_iot("bootstrap", est.url).returncode == 0

    assert in_use(pi) == before
    count = len(old.published)
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert len(old.published) == count + 1


def test_a_move_with_the_same_certificate_that_fails_leaves_the_old_deployment_in_use_and_can_be_finished(
    pi: Pi, same_ca: Fleet, old: DataEndpoint, zymkey_iot: Command
) -> None:
    cloud, endpoint = same_ca
    before = in_use(pi)
    endpoint.statuses = [400]
    assert zymkey_iot("bootstrap", cloud.url).returncode == 8
    assert in_use(pi) == before
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert old.published[-1].topic == "devices/pi-7/x"

    assert zymkey_iot("bootstrap").returncode == 0

    assert endpoint.published[-1].topic == "devices/pi-7/bootstrap"
    assert json.loads((pi.state / "configuration.json").read_text())["httpsPort"] == endpoint.port


def test_a_device_brings_its_certificate_to_a_deployment_that_has_not_seen_it(
    pi: Pi, there: Fleet, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.first_connection.FIRST_LOOK", 0.1)
    cloud, endpoint = there
    cloud.configuration["issuer"] = "external"
    register = cloud.register

    def register_and_know(pem: bytes) -> Answer:
        assert endpoint.known is not None
        endpoint.known.add(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))
        return register(pem)

    cloud.register = register_and_know  # type: ignore[method-assign]
    before = in_use(pi)

    done = zymkey_iot("bootstrap", cloud.url, "--certificate", str(pi.state / "certificate.pem"))

    assert done.returncode == 0, done.stderr
    assert in_use(pi)[0] == before[0]
    assert len(cloud.uploads) == 1
    assert endpoint.published[-1].topic == "devices/pi-7/bootstrap"


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


# Power cuts and disks that fail


def assert_one_fleet_or_the_other(pi: Pi, old: DataEndpoint, new: DataEndpoint, zymkey_iot: Command) -> None:
    """Whoever reads, without the lock, finds certificate and endpoint of one fleet, and gets through."""
    count = len(old.published) + len(new.published)
    done = zymkey_iot("publish", "devices/pi-7/x", "x")
    assert done.returncode == 0, done.stderr
    assert len(old.published) + len(new.published) == count + 1
    folder = StateFolder(pi.state)
    x509.load_pem_x509_certificate(folder.certificate() or b"")


SAMPLED = pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)], ids=["sample", "all"])


@SAMPLED
def test_a_move_survives_a_power_cut_anywhere(
    pi: Pi, old: DataEndpoint, there: Fleet, fragile: FragilePi, zymkey_iot: Command, stride: int
) -> None:
    cloud, endpoint = there
    start = pi.state.parent / "start"
    shutil.copytree(pi.state, start)
    hooks = pi.state / "on-renew.pending"
    assert fragile.run("bootstrap", cloud.url, at=0) == 0, fragile.said
    points = len(fragile.calls())
    assert points > 25
    for at in range(1, points + 1, stride):
        shutil.rmtree(pi.state)
        shutil.copytree(start, pi.state)

        assert fragile.run("bootstrap", cloud.url, at=at) == -signal.SIGKILL, fragile.calls()[at - 1]
        assert_one_fleet_or_the_other(pi, old, endpoint, zymkey_iot)
        assert fragile.run("bootstrap", cloud.url, at=0) == 0, fragile.said

        assert {path.name for path in pi.state.iterdir()} - BESIDE == WHOLE
        assert json.loads((pi.state / "device.json").read_text())["url"] == cloud.url
        assert not hooks.exists()
        assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert len({shown.certificate for shown in endpoint.published}) == 1


@SAMPLED
def test_a_move_survives_a_disk_that_fails_anywhere(
    pi: Pi, old: DataEndpoint, there: Fleet, fragile: FragilePi, zymkey_iot: Command, stride: int
) -> None:
    cloud, endpoint = there
    start = pi.state.parent / "start"
    shutil.copytree(pi.state, start)
    assert fragile.run("bootstrap", cloud.url, at=0) == 0, fragile.said
    points = len(fragile.calls())
    failures = itertools.cycle((errno.ENOSPC, errno.EROFS, errno.EIO))
    assert fragile.calls()[0].startswith("mkdir"), "of a folder that is there; it may fail"
    for at, failure in zip(range(2, points + 1, stride), failures, strict=False):
        shutil.rmtree(pi.state)
        shutil.copytree(start, pi.state)

        assert fragile.run("bootstrap", cloud.url, at=at, failure=failure) == 11, (
            fragile.calls()[at - 1],
            fragile.said,
        )
        assert "Traceback" not in fragile.said
        assert_one_fleet_or_the_other(pi, old, endpoint, zymkey_iot)
        assert fragile.run("bootstrap", cloud.url, at=0) == 0, fragile.said

        assert {path.name for path in pi.state.iterdir()} - BESIDE == WHOLE


# State folders of the release before this one


def as_the_earlier_release_left_it(pi: Pi, *, interrupted: bool) -> None:
    """Three keys in device.json, and the candidate's certificate in a file of its own."""
    kept = json.loads((pi.state / "device.json").read_text())
    earlier = {name: kept[name] for name in ("name", "url", "key")}
    (pi.state / "device.json").write_text(json.dumps(earlier, indent=2) + "\n")
    if interrupted:
        (pi.state / "certificate.pem").rename(pi.state / "certificate.pem.new")


def test_a_bootstrap_that_the_earlier_release_began_is_finished(
    pi: Pi, old: DataEndpoint, est: EstServer, zymkey_iot: Command
) -> None:
    certificate = (pi.state / "certificate.pem").read_bytes()
    as_the_earlier_release_left_it(pi, interrupted=True)

    assert zymkey_iot("bootstrap").returncode == 0

    assert (pi.state / "certificate.pem").read_bytes() == certificate
    assert {path.name for path in pi.state.iterdir()} - BESIDE == WHOLE
    assert len(est.enrollments) == 1


def test_a_device_of_the_earlier_release_goes_on_and_nothing_of_it_is_touched(
    pi: Pi, old: DataEndpoint, est: EstServer, zymkey_iot: Command
) -> None:
    as_the_earlier_release_left_it(pi, interrupted=False)
    before = pi.files()

    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert zymkey_iot("renew", "--if-due").returncode == 13
    assert zymkey_iot("status").returncode == 0

    assert pi.files() == before


def test_a_bootstrap_that_waits_since_the_earlier_release_is_continued(
    pi: Pi, old: DataEndpoint, est: EstServer, zymkey_iot: Command
) -> None:
    as_the_earlier_release_left_it(pi, interrupted=False)
    (pi.state / "certificate.pem").unlink()
    (pi.state / "configuration.json").unlink()

    assert zymkey_iot("wait").returncode == 0

    assert {path.name for path in pi.state.iterdir()} - BESIDE == WHOLE
