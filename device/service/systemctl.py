"""systemd's own commands, on this machine or on the files of another system (``--root``)."""

import shutil
import subprocess
from pathlib import Path

from ..errors import UsageError

_BOOTED = Path("/run/systemd/system")


class Systemd:
    """``root`` is ``/``, or a folder with the files of a system that is not running."""

    def __init__(self, root: Path) -> None:
        if shutil.which("systemctl") is None:
            raise UsageError(
                "this system has no systemd.",
                cure="run zymkey-iot bootstrap once, and zymkey-iot renew --if-due every day, from cron for example",
            )
        self._root = root
        self.is_running = root == Path("/") and _BOOTED.is_dir()

    def make_users(self, file: str) -> None:
        """Make the users and group memberships of a sysusers.d file."""
        self._run("systemd-sysusers", file)

    def enable(self, *units: str) -> None:
        self._run("systemctl", "--quiet", "enable", *units)

    def disable(self, *units: str) -> None:
        self._run("systemctl", "--quiet", "disable", *units)

    def reload(self) -> None:
        if self.is_running:
            self._run("systemctl", "daemon-reload")

    def start(self, *units: str) -> None:
        """Start the units, and do not wait for their end."""
        if self.is_running:
            self._run("systemctl", "--no-block", "start", *units)

    def stop(self, *units: str) -> None:
        if self.is_running:
            self._run("systemctl", "stop", *units)

    def is_enabled(self, unit: str) -> bool:
        return self._ask("is-enabled", unit) == "enabled"

    def state(self, unit: str) -> str:
        """``active``, ``inactive``, ``failed``, …; ``not running here`` for the files of another system."""
        return self._ask("is-active", unit) if self.is_running else "not running here"

    def _ask(self, question: str, unit: str) -> str:
        done = subprocess.run(
            ["systemctl", *self._root_option(), question, unit], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def _run(self, command: str, *arguments: str) -> None:
        done = subprocess.run([command, *self._root_option(), *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().partition("\n")[0].rstrip(".")
            raise UsageError(
                f"{command} {' '.join(arguments)} failed: {said}.", cure="see why: systemctl status, journalctl -xe"
            )

    def _root_option(self) -> list[str]:
        return [] if self._root == Path("/") else [f"--root={self._root}"]
