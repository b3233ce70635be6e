"""The PIN of a PKCS#11 token: from a file, the environment, or a prompt.

Never from the command line, which other users can see in the process list.
"""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import KeyUnavailable
from ..text_file import decoded, read_small

VARIABLE = "ZYMKEY_IOT_PIN"


def find_pin(source: Path | None, token: str) -> str:
    """The PIN from ``source`` (the URI's pin-source), from ZYMKEY_IOT_PIN, or from a person at the terminal.

    Raises:
        KeyUnavailable: there is none, or the file cannot be read.
    """
    if source is not None:
        return _in_file(source)
    if given := os.environ.get(VARIABLE):
        return _text(given, VARIABLE)
    if sys.stdin is not None and sys.stdin.isatty():
        return _typed(token)
    raise KeyUnavailable(
        f"the token {token} asks for a PIN, and none was given.",
        cure=f"write it into a file (mode 0600) and add ?pin-source=file:/path to the key's URI, or set {VARIABLE}",
    )


def _text(given: str, where: str) -> str:
    """``given``, which bytes that are not UTF-8 have made one that cannot be sent to a token."""
    if given.isascii() or given.encode("utf-8", "replace").decode() == given:
        return given
    raise KeyUnavailable(f"the PIN in {where} is not text in UTF-8; it was not tried.", cure="write it in UTF-8")


def _typed(token: str) -> str:
    from getpass import getpass

    try:
        return getpass(f"PIN of the token {token}: ")
    except (EOFError, UnicodeDecodeError):
        raise KeyUnavailable(
            f"the PIN of the token {token} was not typed, or has a character that this terminal's locale has not.",
            cure="the same command again; or write the PIN into a file, and name it with pin-source=file:/path",
        ) from None


def _in_file(source: Path) -> str:
    try:
        # Only line ends are no part of a PIN. Never guess more: a few wrong PINs lock the token.
        lines = decoded(read_small(source)).strip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KeyUnavailable(
            f"the PIN file {source} cannot be read: {reason}.",
            cure="check pin-source in the key's URI, and the owner of the file",
        ) from None
    if lines == [""]:
        raise KeyUnavailable(f"the PIN file {source} is empty.", cure="write the PIN into the file")
    if len(lines) > 1:
        raise KeyUnavailable(
            f"the PIN file {source} has {len(lines)} lines; the PIN was not tried.",
            cure="write the PIN alone into the file",
        )
    return lines[0]


def open_to_others(source: Path | None) -> str | None:
    """A sentence about a PIN file that other users may read; None when they may not."""
    try:
        mode = source.stat().st_mode if source is not None else 0
    except OSError:
        return None
    if not mode & (stat.S_IROTH | stat.S_IWOTH):
        return None
    return f"every user can read the PIN in {source}: chmod 600 {source}, or 640 with the group of the service."


@contextmanager
def pin_descriptor(pin: str) -> Iterator[int]:
    """A file in memory with the PIN, for a command to inherit and to read as /dev/fd/N."""
    descriptor = os.memfd_create("pin", 0)
    try:
        os.write(descriptor, pin.encode())
        yield descriptor
    finally:
        os.close(descriptor)
