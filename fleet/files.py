"""Files that the command reads and writes, and what to say when that fails."""

import os
from contextlib import suppress
from pathlib import Path

from fleet.errors import Refused

_MAX_BYTES = 1 << 20


def read(path: Path, what: str) -> bytes:
    """The content of ``what`` the user named.

    Raises:
        Refused: the file cannot be read, or is larger than any such file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise Refused(
            f"The {what} {str(path)!r} cannot be read: {getattr(error, 'strerror', error)}.",
            cure="name a file that you may read",
        ) from None
    if len(content) > _MAX_BYTES:
        raise Refused(f"The {what} {str(path)!r} is larger than 1 MiB.", cure="name the file that was meant")
    return content


def write_public(path: Path, content: bytes) -> None:
    """Write a file that everybody may read; its folder is made, and an older file is replaced as a whole.

    Raises:
        Refused: the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise _not_written(path, error) from None


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read; an existing file is never replaced.

    Raises:
        Refused: it exists, or the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _not_written(path, error) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:  # a full disk: half a secret is none, and would be in the way next time
        with suppress(OSError):
            path.unlink()
        raise _not_written(path, error) from None


def _not_written(path: Path, error: OSError) -> Refused:
    return Refused(
        f"{str(path)!r} cannot be written: {error.strerror}.", cure="name a folder that you may write to, with room"
    )
