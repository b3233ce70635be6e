"""The process dies at every system call that changes a file, one after the other; the next run finishes the job.

And every such call fails in turn, as on a full or dying disk: a sentence each time, and nothing is half done.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import EstServer
from tests.support.device.pi import REPOSITORY, Pi

# Imports everything once, then forks for each run: a run costs what it does, and not what Python costs to start.
RUNNER = """
import os, sys
import device.bootstrap, device.renew, device.report, device.commands.bootstrap, device.commands.renew
import device.keys.file, sslcontext, certifi, json, argparse
from device.cli import main
print("ready", flush=True)
for line in sys.stdin:
    at, *argv = line.split()
    child = os.fork()
    if child == 0:
        os.environ["KILL_AT"] = at
        sys.stdout.flush()
        code = main(argv)
        sys.stdout.flush(); sys.stderr.flush()
        os._exit(code)
    print("ended", os.waitpid(child, 0)[1], flush=True)
"""


class Runner:
    """Runs commands on a device, each to die or fail at its N-th change of a file."""

    def __init__(self, process: "subprocess.Popen[str]", calls: Path) -> None:
        self._process = process
        self._calls = calls
        self.said = ""

    def run(self, *argv: str, at: int) -> int:
        """The exit code, or minus the signal. What was printed is in `said`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{at} {' '.join(argv)}\n")
        self._process.stdin.flush()
        self.said = ""
        for line in self._process.stdout:
            if line.startswith("ended "):
                return os.waitstatus_to_exitcode(int(line.split()[1]))
            self.said += line
        raise AssertionError(self.said)

    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


@contextmanager
def runner(pi: Pi, library: str, **variables: str) -> Iterator[Runner]:
    calls = pi.state.parent / "calls"
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER],
        cwd=REPOSITORY,
        env={
            **os.environ,
            **pi.environment,
            "LD_PRELOAD": library,
            "KILL_UNDER": str(pi.state),
            "KILL_COUNT": str(calls),
            **variables,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Runner(process, calls)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


def assert_nothing_is_half(state: Path) -> None:
    """Every file that is ever read is whole."""
    for name in ("certificate.pem", "certificate.pem.new"):
        if (state / name).exists():
            x509.load_pem_x509_certificate((state / name).read_bytes())
    for name in ("device.json", "configuration.json"):
        if (state / name).exists():
            json.loads((state / name).read_text())
    if (state / "key.pem").exists():
        serialization.load_pem_private_key((state / "key.pem").read_bytes(), None)
        assert (state / "key.pem").stat().st_mode & 0o777 == 0o600


def names(state: Path) -> set[str]:
    return {path.name for path in state.iterdir()}


WHOLE = {"certificate.pem", "configuration.json", "device.json", "key.pem", "lock"}


def test_a_first_bootstrap_survives_a_power_cut_anywhere(pi: Pi, est: EstServer, kill_at_write: str) -> None:
    with runner(pi, kill_at_write) as device:
        assert device.run("bootstrap", at=0) == 0
        points = len(device.calls())
        assert points > 30
        for at in range(1, points + 1):
            shutil.rmtree(pi.state)
            est.issued.clear()

            assert device.run("bootstrap", at=at) == -signal.SIGKILL, device.calls()[at - 1]
            if pi.state.exists():
                assert_nothing_is_half(pi.state)
            assert device.run("bootstrap", at=0) == 0, device.said

            assert names(pi.state) == WHOLE
            assert len(est.issued) == 1, "a second identity"


def test_a_renewal_survives_a_power_cut_anywhere_and_the_hooks_are_run(
    pi: Pi, est: EstServer, kill_at_write: str, tmp_path: Path
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
    with runner(pi, kill_at_write) as device:
        est.issued.clear()
        assert device.run("renew", "--if-due", at=0) == 0, device.said
        points = len(device.calls())
        assert points > 15
        for at in range(1, points + 1):
            shutil.rmtree(pi.state)
            shutil.copytree(due, pi.state)
            est.issued.clear()
            told.unlink(missing_ok=True)

            assert device.run("renew", "--if-due", at=at) == -signal.SIGKILL, device.calls()[at - 1]
            assert_nothing_is_half(pi.state)
            assert (pi.state / "certificate.pem").exists()
            assert device.run("renew", "--if-due", at=0) in (0, 13), device.said

            assert names(pi.state) == WHOLE
            new = (pi.state / "certificate.pem").read_bytes()
            assert new != old
            assert told.read_bytes() == new, device.calls()[at - 1]


def test_a_first_connection_survives_a_power_cut_anywhere(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, kill_at_write: str, tmp_path: Path
) -> None:
    assert pi.run("bootstrap").returncode == 0  # makes the key
    key, factory = (pi.state / "key.pem").read_bytes(), tmp_path / "factory.crt"
    shutil.copy(pi.state / "certificate.pem", factory)
    est.asked.clear()
    endpoint.known = est.registered
    est.configuration["issuer"] = "external"
    given = ["bootstrap", "--certificate", str(factory), "--token", "one-time"]
    with runner(pi, kill_at_write) as device:

        def start_anew() -> None:
            shutil.rmtree(pi.state)
            pi.state.mkdir(mode=0o700)
            (pi.state / "key.pem").write_bytes(key)
            (pi.state / "key.pem").chmod(0o600)
            est.registered.clear()

        start_anew()
        assert device.run(*given, at=0) == 0, device.said
        points = len(device.calls())
        assert points > 15
        for at in range(1, points + 1):
            start_anew()

            assert device.run(*given, at=at) == -signal.SIGKILL, device.calls()[at - 1]
            assert_nothing_is_half(pi.state)
            assert device.run(*given, at=0) == 0, device.said

            assert names(pi.state) == WHOLE
            assert (pi.state / "certificate.pem").read_bytes() == factory.read_bytes()
    assert est.enrollments == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only file system"), (errno.EIO, "the disk fails")],
)
def test_every_write_that_fails_has_its_sentence_and_spoils_nothing(
    pi: Pi, est: EstServer, kill_at_write: str, number: int, sentence: str
) -> None:
    with runner(pi, kill_at_write, KILL_ERRNO=str(number)) as device:
        assert device.run("bootstrap", at=0) == 0
        for at in range(1, len(device.calls()) + 1):
            shutil.rmtree(pi.state)
            est.issued.clear()

            assert device.run("bootstrap", at=at) == 11, (device.calls()[at - 1], device.said)
            assert sentence in device.said
            assert "Traceback" not in device.said
            if pi.state.exists():
                assert_nothing_is_half(pi.state)
                assert not any(name.startswith(".tmp-") for name in names(pi.state))
            assert device.run("bootstrap", at=0) == 0, device.said

            assert len(est.issued) == 1


def test_a_clock_at_1970_has_its_sentence(pi: Pi, wrong_clock: str) -> None:
    result = pi.run("bootstrap", LD_PRELOAD=wrong_clock, WRONG_CLOCK="0")

    assert result.returncode == 5
    assert "by this machine's clock, which says 1970-01-01 00:00 UTC" in result.stderr
    assert "timedatectl" in result.stderr
