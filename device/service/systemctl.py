"""systemd's own commands, on this machine or on the files of another system (``--root``)."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    import subprocess

# sd_booted(3). With SYSTEMD_OFFLINE=1, systemd's own commands do not talk to the manager either (systemd's
# ENVIRONMENT.md).
_BOOTED = Path("/run/systemd/system")

# In seconds. A manager that is busy with a boot answers late.
_TIMEOUT = 30
_LONGEST_UNIT = 120


class Systemd:
    """``root`` is ``/``, or a folder with the files of a system that is not running."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.is_running = root == Path("/") and _BOOTED.is_dir() and os.environ.get("SYSTEMD_OFFLINE") != "1"

    def check_installed(self) -> None:
        """Check that there is a systemd, which need not run.

        Raises:
            UsageError: there is none.
        """
        # Imported here: status and bootstrap make this object too, where no systemd runs.
        import shutil

        if shutil.which("systemctl") is None:
            raise UsageError(
                "this system has no systemd.",
                cure="run zymkey-iot bootstrap once, and zymkey-iot renew --if-due every day, from cron for example",
            )

    def make_folders(self, file: str) -> None:
        """Make the folders of a tmpfiles.d file, which a system that is not running does at its next boot."""
        if self.is_running:
            self._run("systemd-tmpfiles", "--create", file)

    def run_to_end(self, unit: str) -> None:
        """Start a unit that ends by itself, and wait for its end, which the unit has to bound.

        Raises:
            UsageError: it failed.
        """
        self._run("systemctl", "start", unit, timeout=_LONGEST_UNIT)

    def forget(self, unit: str) -> None:
        """Forget that a unit has failed."""
        self._run("systemctl", "reset-failed", unit)

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

    def show(self, *units: str, properties: Sequence[str]) -> list[dict[str, str]]:
        """These properties of each unit, as systemd has loaded it: drop-ins and changes by hand are in them.

        Raises:
            UsageError: systemd does not answer.
        """
        output = self._run("systemctl", "show", f"--property={','.join(properties)}", *units)
        blocks = output.strip("\n").split("\n\n")
        return [dict(line.partition("=")[::2] for line in block.splitlines()) for block in blocks]

    def _ask(self, question: str, unit: str) -> str:
        """The answer of a command that also answers by its exit code."""
        return self._done("systemctl", question, unit).stdout.strip()

    def _run(self, command: str, *arguments: str, timeout: float = _TIMEOUT) -> str:
        done = self._done(command, *arguments, timeout=timeout)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().partition("\n")[0].rstrip(".")
            raise UsageError(
                f"{command} {' '.join(arguments)} failed: {said}.", cure="see why: systemctl status, journalctl -xe"
            )
        return done.stdout

    def _done(self, command: str, *arguments: str, timeout: float = _TIMEOUT) -> "subprocess.CompletedProcess[str]":
        """A command that has ended, with whatever exit code.

        Raises:
            UsageError: there is no such command, or it does not end.
        """
        import subprocess

        try:
            return subprocess.run(
                [command, *self._root_option(), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError:
            raise UsageError(f"there is no {command} command.", cure="sudo apt install systemd") from None
        except subprocess.TimeoutExpired:
            raise UsageError(f"{command} did not end within {timeout:.0f} s.", cure="see why: journalctl -xe") from None

    def _root_option(self) -> list[str]:
        return [] if self._root == Path("/") else [f"--root={self._root}"]
