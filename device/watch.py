"""A bound on the whole of a request, which no bound on a single wait is: each byte of a slow drip comes in time."""

import os
import socket
import threading
import time
from typing import Self

from .connection_errors import Wait


class Watch:
    """Shuts the connection down when the time is over, which ends whatever the request is waiting for.

    ``wait`` says what that is.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self.wait = Wait.TCP
        self._began = time.monotonic()
        self._connection: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        if self._connection is not None:
            self._connection.close()

    def guard(self, connection: socket.socket) -> None:
        """Watch over a connection, through a descriptor of its own: TLS takes the caller's over."""
        self._connection = socket.socket(fileno=os.dup(connection.fileno()))
        if self.expired:
            self._expire()

    @property
    def seconds(self) -> float:
        """Since the request began."""
        return time.monotonic() - self._began

    def _expire(self) -> None:
        self.expired = True
        if self._connection is not None:
            try:
                self._connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # the server was quicker
