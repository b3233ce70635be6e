"""A SOCKS5 proxy on loopback (RFC 1928, RFC 1929), which carries every connection to one port of this machine."""

import socket
import threading
from typing import Self

from tests.support.device.scripted_server import relay

_NO_PASSWORD, _PASSWORD = 0, 2
_LENGTHS = {1: 4, 4: 16}
"""Of an address, by its type; a name has type 3, and its length before it."""


class SocksProxy:
    """`asked` holds the names and addresses that clients wanted; with `refuses`, they get that reply code."""

    def __init__(self, port: int, *, password: str | None = None, refuses: int = 0) -> None:
        self.asked: list[str] = []
        self._target, self._password, self._refuses = port, password, refuses
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

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
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as received:
            received.read(received.read(2)[1])
            client.sendall(bytes([5, _NO_PASSWORD if self._password is None else _PASSWORD]))
            if self._password is not None:
                received.read(1)
                received.read(received.read(1)[0])
                given = received.read(received.read(1)[0]).decode()
                client.sendall(bytes([1, given != self._password]))
                if given != self._password:
                    return
            kind = received.read(4)[3]
            address = received.read(_LENGTHS.get(kind) or received.read(1)[0])
            received.read(2)
            self.asked.append(address.decode() if kind == 3 else socket.inet_ntoa(address))
            client.sendall(bytes([5, self._refuses, 0, 1, 0, 0, 0, 0, 0, 0]))
            if not self._refuses:
                relay(client, self._target)
