"""A device whose process dies, or whose disk fails, at any change of a file that a test chooses."""

import os
from collections.abc import Iterator

import pytest

from tests.support.device.pi import Pi
from tests.support.fork_server import ForkServer
from tests.support.programs import imported


class FragilePi:
    """The device's command, to die or to fail at its N-th change of a file. What was printed is in `said`."""

    def __init__(self, pi: Pi, server: ForkServer) -> None:
        self._pi = pi
        self._server = server
        self._calls = pi.state.parent / "calls"
        self.said = ""

    def run(self, *argv: str, at: int, failure: int = 0) -> int:
        """The exit code, or minus the signal. With `failure`, an errno, the call fails and the process goes on."""
        fault = {"KILL_AT": str(at), "KILL_UNDER": str(self._pi.state), "KILL_COUNT": str(self._calls)}
        if failure:
            fault["KILL_ERRNO"] = str(failure)
        done = self._server.run(["-m", "device", *argv], env={**os.environ, **self._pi.environment, **fault})
        self.said = done.stdout + done.stderr
        return done.returncode

    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


@pytest.fixture(scope="session")
def preloaded(kill_at_write: str) -> Iterator[ForkServer]:
    server = ForkServer(imported("device"), {**os.environ, "LD_PRELOAD": kill_at_write})
    yield server
    server.close()


@pytest.fixture
def fragile(pi: Pi, preloaded: ForkServer) -> FragilePi:
    return FragilePi(pi, preloaded)
