"""A move survives a power cut and a disk that fails, wherever: the device is in one fleet or in the other."""

import errno
import itertools
import json
import shutil
import signal

import pytest
from cryptography import x509

from device.store import StateFolder
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.fragile_pi import FragilePi, fragile, preloaded
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import BESIDE, Pi
from tests.support.device.two_fleets import WHOLE, Fleet, old, there

__all__ = ["fragile", "old", "preloaded", "there", "zymkey_iot"]


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
