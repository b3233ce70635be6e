"""A standard output whose reader may leave before the end, as ``head`` does."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


@contextmanager
def unbroken_stdout() -> Iterator[None]:
    """Let the command go on when its reader has left: its exit code says how its work ended."""
    stdout = sys.stdout
    if stdout is None:  # closed by whoever started this process: nothing is printed
        yield
        return
    sys.stdout = _Output(stdout)
    try:
        yield
    finally:
        sys.stdout.flush()  # here: a flush at exit would complain
        sys.stdout = stdout


class _Output:
    """Writes to ``stream`` while somebody reads it, then to nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
