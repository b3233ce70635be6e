"""The one-time token: read as people hand it over, asked for on a terminal, removed from its file once it is spent."""

import getpass
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError
from .storage import TEMPORARY_PREFIX, fsync_folder
from .text_file import decoded, encoding_of, read_small

STANDARD_INPUT = "-"
_LONGEST = 1024
_QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("„", "“"), ("‘", "’"))  # noqa: RUF001
# A line of TOML with the token, and what follows it. No blank in here ends a line.
_LINE = re.compile(
    r"""(?m)^(?P<before>[ \t]*(?:token|"token"|'token')[ \t]*=[ \t]*)(?:"(?:[^"\\\r\n]|\\.)*"|'[^'\r\n]*'|[^#\r\n]*?)"""
    r"""(?P<after>[ \t]*(?:\#[^\r\n]*)?\r?)$"""
)


@dataclass(frozen=True)
class TokenPlace:
    """A settings file with the token in one of its lines, or a file that holds the token alone."""

    path: Path
    is_settings_file: bool


def one_word(text: str, source: str, *, cure: str) -> str:
    """The token in ``text``: one word of printable ASCII, with or without quotes.

    Raises:
        UsageError: it is none. The error does not show the text: it may be a secret with a typing error.
    """
    token = text.strip()
    for opening, closing in _QUOTES:
        if len(token) > 1 and token.startswith(opening) and token.endswith(closing):
            token = token[1:-1].strip()
            break
    if not token:
        raise UsageError(f"the token ({source}) is empty.", cure=cure)
    if not token.isascii() or not token.isprintable() or " " in token or len(token) > _LONGEST:
        raise UsageError(f"the token ({source}) is not one word.", cure=cure)
    return token


def read_file(path: Path, source: str) -> str:
    """What a token file says, without what editors add; empty when the token was removed after it was spent.

    Raises:
        UsageError: it cannot be read, or is no text.
    """
    try:
        return decoded(read_small(path)).strip()
    except UnicodeDecodeError:
        raise UsageError(f"the token file {path} ({source}) is not plain text.", cure="save it as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = (
            os.strerror(getattr(error, "errno", 0) or 0) if isinstance(error, OSError) else "no file has such a name"
        )
        raise UsageError(
            f"the token file {path} ({source}) cannot be read: {reason}.", cure=f"check the file: ls -l {path}"
        ) from None


def ask(name: str) -> str:
    """The token from standard input: on a terminal it is asked for, and not shown.

    Raises:
        UsageError: there is none.
    """
    from .streams import standard_input

    if sys.stdin is not None and sys.stdin.isatty():
        try:
            return getpass.getpass(f"Token for {name}: ")
        except EOFError:
            return ""
    try:
        return decoded(standard_input(16 * _LONGEST))
    except UnicodeDecodeError:
        raise UsageError(
            "the token on standard input is not plain text.", cure="send the token alone, in UTF-8"
        ) from None


def remove_spent(place: TokenPlace, token: str, warn: Callable[[str], None]) -> bool:
    """Remove the token from its file, and nothing else; True when it was there and is gone.

    Every moment of a power cut leaves the file as it was, or as it shall be. A file that cannot be written is a
    warning: the token is worth nothing any more.
    """
    try:
        data = read_small(place.path)
        changed = _without(data, token) if place.is_settings_file else _emptied(data, token)
        if changed is None:
            return False
        _replace(place.path.resolve(), changed)
    except (OSError, UnicodeError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it is no text"
        warn(
            f"the token in {place.path} is spent and could not be removed: {reason}. The service's timer removes it as"
            " root; or: sudo zymkey-iot hooks"
        )
        return False
    return True


def _emptied(data: bytes, token: str) -> bytes | None:
    return b"" if token in decoded(data) else None


def _without(data: bytes, token: str) -> bytes | None:
    """The settings file with an empty token; None when it holds another token, or none."""
    text = data.decode(encoding_of(data))  # with its own line ends
    if token not in text:
        return None
    changed = _LINE.sub(lambda line: f'{line["before"]}""{line["after"]}', text)
    return None if changed == text else changed.encode(encoding_of(data))


def _replace(path: Path, data: bytes) -> None:
    """Like ``write_atomically``, for a file that keeps its owner and mode; on FAT, which has neither, too."""
    was = path.stat()
    # Always the same name, so that what a power cut leaves is written over by the next run.
    temporary = path.parent / f"{TEMPORARY_PREFIX}{path.name}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            now = os.fstat(file.fileno())
            if (now.st_uid, now.st_gid) != (was.st_uid, was.st_gid):
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            if now.st_mode != was.st_mode:
                os.fchmod(file.fileno(), was.st_mode & 0o7777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)
