"""The process dies at every system call that changes a file, one after the other; the next run finishes the job.

And every such call fails in turn, as on a full or dying disk: a sentence each time, and nothing is half done.
"""

import errno
import itertools
import json
import shutil
import signal
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.fragile_pi import FragilePi, fragile, preloaded
from tests.support.device.pi import BESIDE, Pi

__all__ = ["fragile", "preloaded"]


def assert_nothing_is_half(state: Path) -> None:
    """Every file that is ever read is whole."""
    if (state / "certificate.pem").exists():
        x509.load_pem_x509_certificate((state / "certificate.pem").read_bytes())
    for name in ("device.json", "configuration.json", "candidate.json", "promotion.json"):
        if (state / name).exists():
            json.loads((state / name).read_text())
    if (state / "request.pem").exists():
        assert x509.load_pem_x509_csr((state / "request.pem").read_bytes()).is_signature_valid
    if (state / "key.pem").exists():
        serialization.load_pem_private_key((state / "key.pem").read_bytes(), None)
        assert (state / "key.pem").stat().st_mode & 0o777 == 0o600


def names(state: Path) -> set[str]:
    return {path.name for path in state.iterdir()}


# Writing a file takes seven calls, so every third call of many files is also each call of one.
SAMPLED = pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.slow)], ids=["sample", "all"])

WHOLE = {"certificate.pem", "configuration.json", "device.json", "key.pem", "lock"}


@SAMPLED
def test_a_first_bootstrap_survives_a_power_cut_anywhere(
    pi: Pi, est: EstServer, fragile: FragilePi, stride: int
) -> None:
    assert fragile.run("bootstrap", at=0) == 0
    points = len(fragile.calls())
    assert points > 30
    for at in range(1, points + 1, stride):
        shutil.rmtree(pi.state)
        est.issued.clear()
        est.asked.clear()

        assert fragile.run("bootstrap", at=at) == -signal.SIGKILL, fragile.calls()[at - 1]
        if pi.state.exists():
            assert_nothing_is_half(pi.state)
        assert fragile.run("bootstrap", at=0) == 0, fragile.said

        assert names(pi.state) - BESIDE == WHOLE
        assert len(est.issued) == 1, "a second identity"
        assert len({asked.body for asked in est.enrollments}) == 1, "a second signature for a request"


@SAMPLED
def test_a_bootstrap_in_the_queue_survives_a_power_cut_anywhere_with_its_request(
    pi: Pi, est: EstServer, fragile: FragilePi, stride: int
) -> None:
    in_an_hour = Answer(202, b"", {"Retry-After": "3600", "Zymkey-Place": "36000"})
    est.answers = [in_an_hour]
    assert fragile.run("bootstrap", at=0) == 7, fragile.said
    points = len(fragile.calls())
    assert {"request.pem", "candidate.json"} < names(pi.state)
    for at in range(1, points + 1, stride):
        shutil.rmtree(pi.state)
        est.asked.clear()
        est.answers = [in_an_hour]

        assert fragile.run("bootstrap", at=at) == -signal.SIGKILL, fragile.calls()[at - 1]
        if pi.state.exists():
            assert_nothing_is_half(pi.state)
        est.answers = []
        assert fragile.run("bootstrap", at=0) == 0, fragile.said

        assert names(pi.state) - BESIDE == WHOLE
        assert len({asked.body for asked in est.enrollments}) == 1, "a second signature for a request"


def test_a_second_bootstrap_writes_nothing(pi: Pi, fragile: FragilePi) -> None:
    assert pi.run("bootstrap").returncode == 0

    assert fragile.run("bootstrap", at=0) == 0

    assert [call for call in fragile.calls() if not call.endswith(("/state", "/lock", " "))] == []


@SAMPLED
def test_a_renewal_survives_a_power_cut_anywhere_and_the_hooks_are_run(
    pi: Pi, est: EstServer, fragile: FragilePi, tmp_path: Path, stride: int
) -> None:
    told = tmp_path / "told"
    hooks = tmp_path / "on-renew.d"
    hooks.mkdir()
    (hooks / "10-tell").write_text(f'#!/bin/sh\ncp "$ZYMKEY_IOT_CERTIFICATE" {told}\n')
    (hooks / "10-tell").chmod(0o755)
    pi.environment["ZYMKEY_IOT_ON_RENEW"] = str(hooks)
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert pi.run("bootstrap").returncode == 0
    due = tmp_path / "due"
    shutil.copytree(pi.state, due)
    old = (pi.state / "certificate.pem").read_bytes()
    est.valid_since = timedelta(0)
    est.issued.clear()
    assert fragile.run("renew", "--if-due", at=0) == 0, fragile.said
    points = len(fragile.calls())
    assert points > 15
    for at in range(1, points + 1, stride):
        shutil.rmtree(pi.state)
        shutil.copytree(due, pi.state)
        est.issued.clear()
        told.unlink(missing_ok=True)

        assert fragile.run("renew", "--if-due", at=at) == -signal.SIGKILL, fragile.calls()[at - 1]
        assert_nothing_is_half(pi.state)
        assert (pi.state / "certificate.pem").exists()
        assert fragile.run("renew", "--if-due", at=0) in (0, 13), fragile.said

        assert names(pi.state) - BESIDE == WHOLE
        new = (pi.state / "certificate.pem").read_bytes()
        assert new != old
        assert told.read_bytes() == new, fragile.calls()[at - 1]


@SAMPLED
def test_a_first_connection_survives_a_power_cut_anywhere(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, fragile: FragilePi, tmp_path: Path, stride: int
) -> None:
    assert pi.run("bootstrap").returncode == 0  # makes the key
    key, factory = (pi.state / "key.pem").read_bytes(), tmp_path / "factory.crt"
    shutil.copy(pi.state / "certificate.pem", factory)
    est.asked.clear()
    endpoint.known = est.registered
    est.configuration["issuer"] = "external"
    given = ["bootstrap", "--certificate", str(factory), "--token", "one-time"]

    def start_anew() -> None:
        shutil.rmtree(pi.state)
        pi.state.mkdir(mode=0o700)
        (pi.state / "key.pem").write_bytes(key)
        (pi.state / "key.pem").chmod(0o600)
        est.registered.clear()

    start_anew()
    assert fragile.run(*given, at=0) == 0, fragile.said
    points = len(fragile.calls())
    assert points > 15
    for at in range(1, points + 1, stride):
        start_anew()

        assert fragile.run(*given, at=at) == -signal.SIGKILL, fragile.calls()[at - 1]
        assert_nothing_is_half(pi.state)
        assert fragile.run(*given, at=0) == 0, fragile.said

        assert names(pi.state) - BESIDE == WHOLE
        assert (pi.state / "certificate.pem").read_bytes() == factory.read_bytes()
    assert est.enrollments == []


FAILURES = {
    errno.ENOSPC: "the disk is full",
    errno.EROFS: "read-only file system",
    errno.EIO: "the disk fails",
}


def assert_writes_may_fail(
    pi: Pi, est: EstServer, fragile: FragilePi, failures: Iterable[int], *, stride: int = 1
) -> None:
    """Let a first bootstrap's writes fail one after the other, each with the next of `failures`."""
    assert fragile.run("bootstrap", at=0) == 0
    points = len(fragile.calls())
    assert points > 30
    for at, failure in zip(range(1, points + 1, stride), failures, strict=False):
        shutil.rmtree(pi.state)
        est.issued.clear()

        needless = "/asked" in fragile.calls()[at - 1]  # without its time the cloud is asked once more
        ended = fragile.run("bootstrap", at=at, failure=failure)
        assert ended == (0 if needless else 11), (fragile.calls()[at - 1], fragile.said)
        assert needless or FAILURES[failure] in fragile.said
        assert "Traceback" not in fragile.said
        if pi.state.exists():
            assert_nothing_is_half(pi.state)
            assert not any(name.startswith(".tmp-") for name in names(pi.state))
        assert fragile.run("bootstrap", at=0) == 0, fragile.said

        assert len(est.issued) == 1


def test_a_write_that_fails_has_its_sentence_and_spoils_nothing(pi: Pi, est: EstServer, fragile: FragilePi) -> None:
    assert_writes_may_fail(pi, est, fragile, itertools.cycle(FAILURES), stride=3)


@SAMPLED
def test_a_renewal_whose_write_fails_leaves_a_whole_certificate_and_the_next_one_finishes_it(
    pi: Pi, est: EstServer, fragile: FragilePi, tmp_path: Path, stride: int
) -> None:
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert pi.run("bootstrap").returncode == 0
    due = tmp_path / "due"
    shutil.copytree(pi.state, due)
    est.valid_since = timedelta(0)
    est.issued.clear()
    assert fragile.run("renew", "--if-due", at=0) == 0, fragile.said
    points = len(fragile.calls())
    assert fragile.calls()[0].startswith("mkdir"), "of a folder that is there; it may fail"
    for at, failure in zip(range(2, points + 1, stride), itertools.cycle(FAILURES), strict=False):
        shutil.rmtree(pi.state)
        shutil.copytree(due, pi.state)

        needless = "/asked" in fragile.calls()[at - 1]
        ended = fragile.run("renew", "--if-due", at=at, failure=failure)
        assert ended == (0 if needless else 11), (fragile.calls()[at - 1], fragile.said)
        assert needless or FAILURES[failure] in fragile.said
        assert_nothing_is_half(pi.state)
        assert fragile.run("renew", "--if-due", at=0) in (0, 13), fragile.said

        assert names(pi.state) - BESIDE == WHOLE
        assert (pi.state / "certificate.pem").read_bytes() != (due / "certificate.pem").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES, ids=errno.errorcode.get)
def test_every_write_may_fail_for_every_reason(pi: Pi, est: EstServer, fragile: FragilePi, failure: int) -> None:
    assert_writes_may_fail(pi, est, fragile, itertools.repeat(failure))


def test_a_clock_at_1970_has_its_sentence(pi: Pi, wrong_clock: str) -> None:
    result = pi.run("bootstrap", LD_PRELOAD=wrong_clock, WRONG_CLOCK="0")

    assert result.returncode == 5
    assert "by this machine's clock, which says 1970-01-01 00:00 UTC" in result.stderr
    assert "timedatectl" in result.stderr
