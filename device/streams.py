"""stdout and stderr that never end a command: whatever they are connected to, and whatever is written to them."""

import os
import sys

from .errors import UsageError
from .text import printable

TYPE_CHECKING = False  # as in typing, which costs more to import than --help may
if TYPE_CHECKING:
    from typing import Any

# What this program itself sends to a terminal: colours, and doctor's line that goes away again.
_OURS = r"(\n|\t|\033\[(?:[012]|3[123])m|\r\033\[2K)"


def open_standard_descriptors() -> None:
    """Open what the caller has closed (``>&-``); otherwise the next file that is opened would be taken for stdout."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


class SafeStream:
    """A text stream whose reader may leave before the end, as ``head`` does, whose disk may be full, and whose encoding
    may lack characters.

    The command goes on then, and the rest of its output goes nowhere. ``failure`` is why, unless the reader has left,
    which is no failure. Characters that a terminal would act upon, and those that the encoding lacks, are escaped.
    """

    def __init__(self, stream: "Any") -> None:
        self._stream = stream or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            self._stream.write(self._safe(text))
        except OSError as error:
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def _safe(self, text: str) -> str:
        if not text.replace("\n", "").isprintable():
            import re  # not at the top: --help does without it

            text = "".join(each if number % 2 else printable(each) for number, each in enumerate(re.split(_OURS, text)))
        if text.isascii():
            return text
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _drop(self, error: OSError) -> None:
        if not isinstance(error, BrokenPipeError):
            self.failure = self.failure or error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def standard_input(most: int) -> bytes:
    """At most so many bytes of stdin.

    Raises:
        UsageError: stdin is closed, or cannot be read.
    """
    if sys.stdin is None:
        raise UsageError(
            "standard input is closed, so nothing can be read from it.", cure="connect it: … | zymkey-iot …"
        )
    try:
        return sys.stdin.buffer.read(most)
    except OSError as error:
        raise UsageError(
            f"standard input cannot be read: {os.strerror(error.errno or 0)}.", cure="connect it: … | zymkey-iot …"
        ) from None
