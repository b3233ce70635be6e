"""AWS credentials that were given to this user, until shortly before they expire: in memory, readable by nobody else.

Each answer of AWS costs the key a signature, and a program may ask for credentials at each of its requests, so most
runs end here. Nothing costly is imported: such a run takes Python's start, and as long again for options and digest.
"""

import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from .errors import AlreadyRunning

MARGIN = 960
"""Seconds before they expire at which credentials are no longer given out. botocore replaces credentials that have less
than 15 minutes left (``_DEFAULT_ADVISORY_REFRESH_TIMEOUT``), and would get the same ones again. Of credentials that
live for less than twice that, the second half is given up."""

PATIENCE = 90.0
"""Seconds to wait for another process that asks AWS. A request takes at most 60."""

_OLDEST = 43200  # AWS gives no credentials for longer (CreateRoleAlias)
_PAUSE = 0.05
# Variables that have a say in what a run does; none is written down.
_VARIABLES = ("ZYMKEY_IOT_", "IOT_", "CA_BUNDLE", "ENROLLMENT_URL")

Stamps = dict[str, list[int] | None]
"""By path: see ``stamps``."""


class CredentialCache:
    """One file for each way to ask: the options and variables of a run. Without a folder for it, nothing is kept."""

    def __init__(self, options: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> None:
        variables = {
            name: value
            for name, value in environ.items()
            if name.startswith(_VARIABLES) or name.lower().endswith("_proxy")
        }
        asked = json.dumps([options, variables, _place(options, environ)], sort_keys=True, default=str)
        digest = hashlib.sha256(asked.encode(errors="surrogateescape")).hexdigest()
        self._name = f"credentials-{digest[:16]}"
        self._folder = _open_folder(environ)

    @property
    def keeps(self) -> bool:
        """Whether there is a folder to keep credentials in."""
        return self._folder is not None

    def find(self) -> dict[str, object] | None:
        """What ``keep`` was given, if nothing that it came from has changed since, and it lives on for long enough."""
        if self._folder is None:
            return None
        try:
            with os.fdopen(self._open(".json", os.O_RDONLY), "rb") as file:
                kept = json.loads(file.read())
            if not _lives_on(kept["obtained"], kept["expires"]) or stamps(kept["files"]) != kept["files"]:
                return None
            document = kept["document"]
        except (OSError, ValueError, LookupError, TypeError):
            return None  # none was kept, or the file is none of ours: AWS is asked
        return document if isinstance(document, dict) else None

    def keep(self, document: Mapping[str, object], *, expires: float, files: Stamps) -> None:
        """Keep ``document`` until ``expires`` (seconds since 1970), or until one of ``files`` changes.

        What cannot be written is not kept: the credentials are good all the same.

        Args:
            files: as they were before AWS was asked: one that was replaced meanwhile counts as changed.
        """
        if self._folder is None:
            return
        kept = {"obtained": time.time(), "expires": expires, "files": files, "document": document}
        temporary = f"{self._name}.{os.getpid()}.tmp"
        with suppress(OSError):
            with os.fdopen(self._open(f".{os.getpid()}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w") as file:
                json.dump(kept, file)
            os.rename(temporary, f"{self._name}.json", src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._sweep()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes that ask in the same way from asking AWS: they find what this one keeps.

        Where no lock can be made, as when memory is full, each asks AWS.

        Raises:
            AlreadyRunning: another process holds the lock for too long.
        """
        opened = self._opened_lock()
        if opened is None:
            yield
            return
        with os.fdopen(opened, "r+b") as lock:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise AlreadyRunning(
                            f"another zymkey-iot credentials has waited for AWS for {PATIENCE:.0f} s.",
                            cure="find the reason: zymkey-iot doctor",
                        ) from None
                time.sleep(_PAUSE)
            yield

    def _opened_lock(self) -> int | None:
        with suppress(OSError):
            return None if self._folder is None else self._open(".lock", os.O_RDWR | os.O_CREAT)
        return None

    def _open(self, ending: str, flags: int) -> int:
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(f"{self._name}{ending}", flags, 0o600, dir_fd=self._folder)

    def _sweep(self) -> None:
        """Remove what can serve nobody any more, of other ways to ask. Locks stay: they may be held."""
        for name in os.listdir(self._folder):  # noqa: PTH208 - of an open folder
            if name.startswith("credentials-") and not name.endswith(".lock"):
                age = time.time() - os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_mtime
                if age > _OLDEST:
                    os.unlink(name, dir_fd=self._folder)


def _place(options: Mapping[str, object], environ: Mapping[str, str]) -> list[str | None]:
    """What a relative state folder, or one in a home (``~``), depends on beside its name; nothing for an absolute one.

    Of relative paths, this one alone leads to another device.
    """
    state = str(options.get("state") or environ.get("ZYMKEY_IOT_STATE") or "/")
    return [] if state.startswith("/") else [os.getcwd(), environ.get("HOME"), environ.get("SUDO_USER")]  # noqa: PTH109


def _lives_on(obtained: float, expires: float) -> bool:
    """A clock that was set back since proves nothing."""
    now = time.time()
    return obtained <= now < expires - min(MARGIN, (expires - obtained) / 2)


def stamps(files: Sequence[str]) -> Stamps:
    """What changes when a file is replaced: time, size and number; None where there is none."""
    found: Stamps = {}
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116 - pathlib costs as much as all the rest
        except OSError:
            found[file] = None
        else:
            found[file] = [status.st_mtime_ns, status.st_size, status.st_ino]
    return found


def _open_folder(environ: Mapping[str, str]) -> int | None:
    """A folder in memory that is this user's alone; open, so that nobody puts another one in its place."""
    user = os.geteuid()
    places = [environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}", "/run" if user == 0 else None]
    candidates = [f"{place}/zymkey-iot" for place in places if place and place.startswith("/")]
    for path in (*candidates, f"/dev/shm/zymkey-iot-{user}"):  # noqa: S108 - whose folder it is, is checked
        with suppress(OSError):
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)  # noqa: PTH102
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            status = os.fstat(folder)
            if status.st_uid == user and not stat.S_IMODE(status.st_mode) & 0o077:
                return folder
            os.close(folder)
    return None
