"""What every server of these tests is made of: a port on loopback, and a thread for each connection."""

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from typing import Self


class LoopbackServer(ABC):
    """Listens until the with block ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Answer one connection. An OSError means that the client has seen enough, and gone."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.serve(connection)


def read_head(connection: socket.socket) -> bytes:
    """What comes up to the empty line that ends the head of a message."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            break
        data += more
    return data
