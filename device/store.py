"""The state folder: what the device keeps. A power cut during a write leaves the old file or the new one.

    certificate.pem       the certificate in use
    certificate.pem.new   the candidate: a certificate that was issued and not yet tried
    configuration.json    the answer to GET /configuration
    device.json           name, enrollment URL and key of the last bootstrap
    on-renew.pending      exists while hooks still have to run for a new certificate
    lock                  held while a process changes something here
    key.pem               the software key of ``file:``, if that is used

Every write goes to a temporary file beside its target; it is fsynced, then renamed, then the folder is fsynced.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .cures import MAKE_ROOM
from .errors import AlreadyRunning, StorageError

TEMPORARY_PREFIX = ".tmp-"


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a sentence about ``path``.

    Raises:
        StorageError: in place of the OSError.
    """
    try:
        yield
    except OSError as error:
        raise _storage_error(path, error) from None


def _storage_error(path: Path, error: OSError) -> StorageError:
    number = error.errno or 0
    if number == errno.EROFS:
        return StorageError(
            f"{path} is on a read-only file system.",
            cure="mount the file system read-write, or use a state folder on another one: --state DIR",
        )
    if number in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"the disk is full: {path} cannot be written.", cure=MAKE_ROOM)
    if number in (errno.EACCES, errno.EPERM):
        return StorageError(
            f"this user may not use {path}.", cure="run it with sudo, or use a folder of this user: --state DIR"
        )
    if number == errno.EIO:
        return StorageError(
            f"the disk fails at {path}.", cure="see why: dmesg; SD cards wear out and have to be replaced"
        )
    return StorageError(f"{path}: {os.strerror(number)}.", cure="use a folder that can be written: --state DIR")


def _lock_error(path: Path, error: OSError) -> StorageError:
    if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
        return StorageError(
            f"the file system of {path} cannot lock files ({os.strerror(error.errno)}).",
            cure="use a state folder on a local file system, such as ext4: --state DIR",
        )
    return _storage_error(path, error)


def write_atomically(path: Path, data: bytes, *, mode: int) -> None:
    """Replace the content of ``path`` with ``data``, wholly or not at all, also across a power cut.

    As root, give the file to the owner of its folder, so that a service's files stay the service's.

    Raises:
        OSError: nothing was changed.
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
        with suppress(OSError):  # on a disk that fails, that may fail too, and the first error says more
            temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def _give_to_owner(descriptor: int, folder: Path) -> None:
    """As root, give the file to the owner of ``folder``, so that a service can open what is in its folder."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def fsync_folder(folder: Path) -> None:
    """Have renames in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class StateFolder:
    """Reading needs no lock; every change is made under ``locked()``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.certificate_path = path / "certificate.pem"
        self.candidate_path = path / "certificate.pem.new"
        self.configuration_path = path / "configuration.json"
        self.device_path = path / "device.json"
        self.hooks_path = path / "on-renew.pending"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder (0700) if it does not exist, and keep other processes from changing it.

        Raises:
            AlreadyRunning: another process holds the lock.
            StorageError: the folder cannot be made or locked.
        """
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
                    f"another zymkey-iot is running with the state folder {self.path}.",
                    cure="wait until it has ended; if it is the service: systemctl status 'zymkey-iot*'",
                ) from None
            except OSError as error:
                raise _lock_error(self.path, error) from None
            self._sweep()
            yield
        finally:
            os.close(lock)

    def _sweep(self) -> None:
        """Remove temporary files that a killed process has left. Nothing reads them."""
        with storage_errors(self.path):
            for leftover in self.path.glob(f"{TEMPORARY_PREFIX}*"):
                leftover.unlink(missing_ok=True)

    def try_writing(self) -> None:
        """Write, fsync, rename and remove a file, as every change does.

        Raises:
            StorageError: one of that fails.
        """
        probe = self.path / f"{TEMPORARY_PREFIX}probe"
        with storage_errors(self.path):
            write_atomically(probe, bytes(4096), mode=0o600)
            probe.unlink(missing_ok=True)

    def certificate(self) -> bytes | None:
        """PEM of the certificate in use."""
        return self._read(self.certificate_path)

    def candidate(self) -> bytes | None:
        """PEM of the candidate: a certificate that was issued and not yet tried."""
        return self._read(self.candidate_path)

    def configuration(self) -> bytes | None:
        """The configuration in JSON, as the cloud sent it."""
        return self._read(self.configuration_path)

    def device(self) -> dict[str, Any]:
        """``name``, ``url`` and ``key`` of the last bootstrap; empty before the first.

        Raises:
            StorageError: the file cannot be read, or does not hold a JSON object.
        """
        data = self._read(self.device_path)
        try:
            document = json.loads(data) if data else {}
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise StorageError(
                f"{self.device_path} is not a JSON object.",
                cure=f"remove the file (rm {self.device_path}), then bootstrap with the enrollment URL",
            )
        return document

    def add_candidate(self, pem: bytes) -> None:
        self._write(self.candidate_path, pem)

    def drop_candidate(self) -> None:
        with storage_errors(self.candidate_path):
            self.candidate_path.unlink(missing_ok=True)
            fsync_folder(self.path)

    def promote_candidate(self) -> None:
        """Put the candidate into use.

        Before that, note that the hooks have to run: a power cut in between must not leave a program with the old
        certificate for ever.
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
        """Write, unless the file holds the same data already: a run that changes nothing touches no file."""
        if self._read(path) == data:
            return
        with storage_errors(path):
            write_atomically(path, data, mode=0o644)
