"""Files that are whole or absent, also after a power cut, and a sentence for each way in which storage fails."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .cures import MAKE_ROOM
from .errors import StorageError

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


def lock_error(path: Path, error: OSError) -> StorageError:
    """The sentence for a ``flock`` that failed, other than because another process holds the lock."""
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
            give_to_owner(file.fileno(), path.parent)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # on a disk that fails, that may fail too, and the first error says more
            temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def give_to_owner(descriptor: int, folder: Path) -> None:
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
