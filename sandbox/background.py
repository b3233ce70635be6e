"""Processes that outlive the command that started them.

Each holds a lock on its own file for as long as it lives, so "is it running" is asked of the operating system and
not of a process id, which another program may have by now. The lock is an open file description that the process
inherits; it ends with the process, however that ends.
"""

import contextlib
import fcntl
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# The emulator takes ten, and has nothing to put away: what it holds is in memory.
TERMINATE_SECONDS = 0.5
POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class BackgroundProcess:
    """A named process with its lock file (``<name>.pid``) and its log (``<name>.log``) in ``directory``.

    ``version`` stands for what the process is made from: one that runs with another version is out of date.
    """

    name: str
    directory: Path
    version: str

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    @property
    def _lock_file(self) -> Path:
        return self.directory / f"{self.name}.pid"

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> None:
        """Start ``command`` in a session of its own, with ``environment`` and nothing else, in ``folder``.

        Its output goes to the log, which is emptied first. Does not wait until the process is ready.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.closing(os.fdopen(descriptor, "w")) as lock, self.log.open("wb") as log:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[descriptor],
            )
            lock.truncate()
            lock.write(f"{process.pid} {self.version}\n")

    def is_running(self) -> bool:
        try:
            descriptor = os.open(self._lock_file, os.O_RDWR)
        except FileNotFoundError:
            return False
        with contextlib.closing(os.fdopen(descriptor)) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def is_current(self) -> bool:
        """Whether it runs, and was started from this version."""
        return self.is_running() and self._recorded()[1] == self.version

    def stop(self) -> bool:
        """End the process and all that it started; say whether there was one.

        SIGTERM first. What is left of its process group after TERMINATE_SECONDS gets SIGKILL: the emulator's
        function workers, for one, do not end with it.
        """
        if not self.is_running():
            return False
        group = int(self._recorded()[0])
        with contextlib.suppress(ProcessLookupError):
            os.kill(group, signal.SIGTERM)
        deadline = time.monotonic() + TERMINATE_SECONDS
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        while self.is_running():
            time.sleep(POLL_SECONDS)
        return True

    def _recorded(self) -> tuple[str, str]:
        """Process id and version of the process that was started last."""
        identifier, version = self._lock_file.read_text().split()
        return identifier, version

    def last_lines(self, count: int = 8) -> str:
        """The end of the log, for a message that says why something did not start."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def version_of(*parts: object) -> str:
    """A short digest of everything that a process is made from: settings, and the content of files."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def exclusively(directory: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the sandbox for one command: ``make sandbox`` in two terminals must not start two of anything."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another command that starts or stops this sandbox ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
