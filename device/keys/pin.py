"""The PIN of a PKCS#11 token: from a file, the environment, or a prompt.

Never from the command line, which other users can see in the process list.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import KeyUnavailable

VARIABLE = "ZYMKEY_IOT_PIN"


def find_pin(source: Path | None, token: str) -> str:
    """The PIN from ``source`` (the URI's pin-source), from ZYMKEY_IOT_PIN, or from a person at the terminal.

    Raises:
        KeyUnavailable: there is none, or the file cannot be read.
    """
    if source is not None:
        try:
            pin = source.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise KeyUnavailable(
                f"the PIN file {source} cannot be read: {reason}.",
                cure="check pin-source in the key's URI, and the owner of the file",
            ) from None
        if pin:
            return pin
        raise KeyUnavailable(f"the PIN file {source} is empty.", cure="write the PIN into the file")
    if given := os.environ.get(VARIABLE):
        return given
    if sys.stdin is not None and sys.stdin.isatty():
        from getpass import getpass

        return getpass(f"PIN of the token {token}: ")
    raise KeyUnavailable(
        f"the token {token} asks for a PIN, and none was given.",
        cure=f"write it into a file (mode 0600) and add ?pin-source=file:/path to the key's URI, or set {VARIABLE}",
    )


@contextmanager
def pin_descriptor(pin: str) -> Iterator[int]:
    """A file in memory with the PIN, for a command to inherit and to read as /dev/fd/N."""
    descriptor = os.memfd_create("pin", 0)
    try:
        os.write(descriptor, pin.encode())
        yield descriptor
    finally:
        os.close(descriptor)
