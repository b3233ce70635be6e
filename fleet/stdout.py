"""Standard streams that no command dies of: a reader that has left, a full disk, another encoding, a closed descriptor.

What a command has changed in the cloud is changed. That a line about it cannot be printed must not stop the rest of the
work; whether the answer was lost is told at the end.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Output:
    """Writes to ``stream`` as long as that works, then to nowhere; to nowhere at once when it is None: closed.

    ``lost`` is the error that what was written has been lost by. A reader that has left, as ``head`` does, loses
    nothing that it wanted.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.lost: OSError | None = None
        if stream is not None and hasattr(stream, "reconfigure"):
            # A locale that is not UTF-8: what it cannot show is escaped, as standard error has it from the start.
            stream.reconfigure(errors="backslashreplace")

    @property
    def reader_has_left(self) -> bool:
        """Whether nobody reads any more, so that a long answer need not go on."""
        return self._stream is None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> int:
        if self._stream is not None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._drop(error)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except OSError as error:
                self._drop(error)

    def _drop(self, error: OSError) -> None:
        """From now on to nowhere; also what waits in the buffer, which Python would complain of at its end."""
        if error.errno != errno.EPIPE:
            self.lost = self.lost or error
        stream, self._stream = self._stream, None
        if stream is None:
            return
        with suppress(OSError, ValueError):  # a stream without a descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
            stream.flush()


@contextmanager
def unbroken_streams() -> Iterator[Output]:
    """Let the command go on whatever happens to standard output and error. Yields standard output."""
    before = sys.stdout, sys.stderr
    output = Output(sys.stdout)
    sys.stdout, sys.stderr = output, Output(sys.stderr)
    try:
        yield output
    finally:
        sys.stdout.flush()  # here: a flush at exit would complain
        sys.stderr.flush()
        sys.stdout, sys.stderr = before
