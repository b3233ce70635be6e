"""The state folder: what the device keeps, so written that a power cut leaves the old or the new.

    certificate.pem       the certificate in use
    certificate.pem.new   one that was issued and not yet tried
    configuration.json    what GET /configuration answered
    device.json           name, enrollment URL and key of the last bootstrap
    on-renew.pending      there is a new certificate, and not every hook has been run for it yet
    lock                  held while a process changes something here
    key.pem               the software key of `file:`, if that is what is used

Every write goes to a temporary file beside its target, is fsynced, renamed, and the folder fsynced.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import AlreadyRunning, StorageError

TEMPORARY_PREFIX = ".tmp-"


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal into a sentence about `path`."""
    try:
        yield
    except OSError as error:
        raise _storage_error(path, error) from None


def _storage_error(path: Path, error: OSError) -> StorageError:
    number = error.errno or 0
    if number == errno.EROFS:
        return StorageError(
            f"{path} is on a read-only file system.",
            cure="mount it read-write, or keep the state on a writable one: --state DIR",
        )
    if number in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"the disk is full: {path} cannot be written.", cure="make room: df -h, journalctl --vacuum-size=50M"
        )
    if number in (errno.EACCES, errno.EPERM):
        return StorageError(f"this user may not use {path}.", cure="sudo, or a folder of your own: --state DIR")
    if number == errno.EIO:
        return StorageError(f"the disk fails at {path}.", cure="dmesg shows why; an SD card wears out")
    return StorageError(f"{path}: {os.strerror(number)}.", cure="a folder that can be written: --state DIR")


def write_atomically(path: Path, data: bytes, *, mode: int) -> None:
    """Replace `path` by `data`, all or nothing, also across a power cut. Raises OSError.

    As root the file is given to the owner of its folder, so that a service's files stay the service's.
    """
    temporary = path.parent / f"{TEMPORARY_PREFIX}{path.name}-{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            _give_to_owner(file.fileno(), path.parent)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def _give_to_owner(descriptor: int, folder: Path) -> None:
    """As root, leave nothing in a service's folder that the service could not open."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def fsync_folder(folder: Path) -> None:
    """Make renames in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class StateFolder:
    """Reads need nothing; changes are made under `locked()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.certificate_path = path / "certificate.pem"
        self.candidate_path = path / "certificate.pem.new"
        self.configuration_path = path / "configuration.json"
        self.device_path = path / "device.json"
        self.hooks_path = path / "on-renew.pending"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder (0700) if there is none, and be the only one who changes it."""
        with storage_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with storage_errors(self.path):
                _give_to_owner(lock, self.path)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(
                    f"another zymkey-iot is at work in {self.path}.",
                    cure="wait until it is done; systemctl status 'zymkey-iot*' shows the service's",
                ) from None
            self._sweep()
            yield
        finally:
            os.close(lock)

    def _sweep(self) -> None:
        """Remove what a killed process was writing. Nothing ever reads these files."""
        with storage_errors(self.path):
            for leftover in self.path.glob(f"{TEMPORARY_PREFIX}*"):
                leftover.unlink(missing_ok=True)

    def try_writing(self) -> None:
        """Write, fsync, rename and remove a file, as every change does. Raises StorageError."""
        probe = self.path / f"{TEMPORARY_PREFIX}probe"
        with storage_errors(self.path):
            write_atomically(probe, bytes(4096), mode=0o600)
            probe.unlink(missing_ok=True)

    def certificate(self) -> bytes | None:
        """PEM of the certificate in use."""
        return self._read(self.certificate_path)

    def candidate(self) -> bytes | None:
        """PEM of a certificate that was issued and not yet tried."""
        return self._read(self.candidate_path)

    def configuration(self) -> bytes | None:
        """JSON, as the cloud sent it."""
        return self._read(self.configuration_path)

    def device(self) -> dict[str, Any]:
        """`name`, `url` and `key` of the last bootstrap; empty before the first."""
        data = self._read(self.device_path)
        try:
            document = json.loads(data) if data else {}
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise StorageError(
                f"{self.device_path} is not a JSON object.",
                cure=f"remove it and run bootstrap with the enrollment URL: rm {self.device_path}",
            )
        return document

    def add_candidate(self, pem: bytes) -> None:
        self._write(self.candidate_path, pem)

    def drop_candidate(self) -> None:
        with storage_errors(self.candidate_path):
            self.candidate_path.unlink(missing_ok=True)
            fsync_folder(self.path)

    def promote_candidate(self) -> None:
        """The candidate has proved itself and becomes the certificate in use.

        That the hooks have to be run is noted before: a power cut in between must not leave a program with the
        old certificate for ever.
        """
        self._write(self.hooks_path, b"")
        with storage_errors(self.certificate_path):
            self.candidate_path.replace(self.certificate_path)
            fsync_folder(self.path)

    def hooks_are_pending(self) -> bool:
        return self._read(self.hooks_path) is not None

    def hooks_are_done(self) -> None:
        with storage_errors(self.hooks_path):
            self.hooks_path.unlink(missing_ok=True)
            fsync_folder(self.path)

    def keep_configuration(self, document: bytes) -> None:
        self._write(self.configuration_path, document)

    def keep_device(self, *, name: str, url: str, key: str) -> None:
        document = json.dumps({"name": name, "url": url, "key": key}, indent=2) + "\n"
        self._write(self.device_path, document.encode())

    def _read(self, path: Path) -> bytes | None:
        with storage_errors(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def _write(self, path: Path, data: bytes) -> None:
        """Write what is new; a run that changes nothing touches no file."""
        if self._read(path) == data:
            return
        with storage_errors(path):
            write_atomically(path, data, mode=0o644)
