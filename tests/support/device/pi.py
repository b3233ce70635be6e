"""A device as a test runs it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.fork_server import REPOSITORY
from tests.support.programs import can_fork, fork_server

# What the state folder holds beside what is in use: when the cloud was asked last, which certificate it knows to work,
# and the request, which is the same each time.
BESIDE = {"asked", "confirmed", "request.pem"}


@dataclass
class Pi:
    """A device's state folder and environment, and its command run as a process of its own."""

    state: Path
    environment: dict[str, str]
    folder: Path = REPOSITORY
    """Where its command is started: a relative path that it is given may become a folder there."""

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command, without Python's start where that makes no difference."""
        return self.forked("-m", "device", *arguments, stdin=stdin, **variables)

    def forked(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m …` or `python -c …` as `python` does, for programs that do not look at imports."""
        environment = {**os.environ, **self.environment, **variables}
        if not can_fork(environment):
            return self.python(*arguments, stdin=stdin, **variables)
        return fork_server("zymkey-iot", environment).run(
            arguments,
            env=environment,
            stdin=stdin,
            cwd=self.folder,
            path=None if self.folder == REPOSITORY else REPOSITORY,
        )

    def python(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run an interpreter of its own in the repository, with the device's environment."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **self.environment, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def files(self) -> dict[str, tuple[bytes, int, int]]:
        """Every file of the state folder: content, mode, and when it was changed.

        But for the signing request, which a try that fails leaves for the next one.
        """
        return {
            str(path.relative_to(self.state)): (
                path.read_bytes(),
                path.stat().st_mode & 0o777,
                path.stat().st_mtime_ns,
            )
            for path in sorted(self.state.rglob("*"))
            if path.is_file() and path.name != "request.pem"
        }
