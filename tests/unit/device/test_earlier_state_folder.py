"""A state folder that an earlier release has left: what it began is finished, and what it finished is not touched."""

import json

from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import BESIDE, Pi
from tests.support.device.two_fleets import WHOLE, old

__all__ = ["old", "zymkey_iot"]


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
