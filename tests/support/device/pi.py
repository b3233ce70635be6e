"""A device as a test runs it."""

import atexit
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.fork_server import REPOSITORY, ForkServer, read_at_start

# What most commands import. Modules for one kind of key are not among it, so that one which is missing shows.
IMPORTED = (
    *("argparse", "certifi", "email.contentmanager", "email.policy", "encodings.idna", "json", "paho.mqtt.client"),
    *("cryptography.hazmat.primitives.serialization.pkcs7", "cryptography.hazmat.backends.openssl", "sslcontext"),
    *("device.cli", "device.doctor.runner", "device.keys.file", "device.first_connection", "device.mqtt_publish"),
    *(f"device.commands.{name}" for name in ("bootstrap", "doctor", "publish", "renew", "status", "wait")),
)


@cache
def fork_server() -> ForkServer:
    """The one of this test run, for all commands that start in its environment."""
    server = ForkServer(IMPORTED, os.environ)
    atexit.register(server.close)
    return server


@dataclass
class Pi:
    """A device's state folder and environment, and its command run as a process of its own."""

    state: Path
    environment: dict[str, str]

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command, without Python's start where that makes no difference."""
        return self.forked("-m", "device", *arguments, stdin=stdin, **variables)

    def forked(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m …` or `python -c …` as `python` does, for programs that do not look at imports."""
        environment = {**os.environ, **self.environment, **variables}
        if read_at_start(environment) != read_at_start(os.environ):
            return self.python(*arguments, stdin=stdin, **variables)
        return fork_server().run(arguments, env=environment, stdin=stdin)

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
        """Every file of the state folder: content, mode, and when it was changed."""
        return {
            str(path.relative_to(self.state)): (
                path.read_bytes(),
                path.stat().st_mode & 0o777,
                path.stat().st_mtime_ns,
            )
            for path in sorted(self.state.rglob("*"))
            if path.is_file()
        }
