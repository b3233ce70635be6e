"""Processes and what they cost."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Cost:
    """Processor seconds of all processes, bytes of the largest one at its peak, seconds that passed."""

    cpu: float
    memory: int
    wall: float

    def then(self, other: "Cost") -> "Cost":
        """The cost of both, one after the other."""
        return Cost(self.cpu + other.cpu, max(self.memory, other.memory), self.wall + other.wall)


class CommandFailed(Exception):
    """A command that is to be measured did not succeed; the message has what it said."""


def measure(*command: str | Path, folder: Path, environment: Mapping[str, str]) -> Cost:
    """Run a command to its end and return what it cost.

    Raises:
        CommandFailed: it ended with another exit code than 0.
    """
    readable, writable = os.pipe()
    with os.fdopen(readable) as result:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", _LAUNCHER, str(writable), *command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                pass_fds=(writable,),
                check=False,
            )
        finally:
            os.close(writable)
        if done.returncode != 0:
            raise CommandFailed(f"`{' '.join(map(str, command))}` ended with {done.returncode}: {done.stderr.strip()}")
        cpu, memory, wall = result.read().split()
    return Cost(float(cpu), int(memory), float(wall))


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what makes Python start otherwise here than on a user's machine."""
    return {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
