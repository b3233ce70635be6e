"""A SOCKS5 proxy on loopback (RFC 1928, RFC 1929), which carries every connection to one port of this machine."""

import socket

from tests.support.device.loopback_server import LoopbackServer
from tests.support.device.scripted_server import relay

_NO_PASSWORD, _PASSWORD = 0, 2
_LENGTHS = {1: 4, 4: 16}
"""Of an address, by its type; a name has type 3, and its length before it."""


class SocksProxy(LoopbackServer):
    """`asked` holds the names and addresses that clients wanted; with `refuses`, they get that reply code."""

    def __init__(self, port: int, *, password: str | None = None, refuses: int = 0) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._target, self._password, self._refuses = port, password, refuses

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as received:
            received.read(received.read(2)[1])
            connection.sendall(bytes([5, _NO_PASSWORD if self._password is None else _PASSWORD]))
            if self._password is not None:
                received.read(1)
                received.read(received.read(1)[0])
                given = received.read(received.read(1)[0]).decode()
                connection.sendall(bytes([1, given != self._password]))
                if given != self._password:
                    return
            kind = received.read(4)[3]
            address = received.read(_LENGTHS.get(kind) or received.read(1)[0])
            received.read(2)
            self.asked.append(address.decode() if kind == 3 else socket.inet_ntoa(address))
            connection.sendall(bytes([5, self._refuses, 0, 1, 0, 0, 0, 0, 0, 0]))
            if not self._refuses:
                relay(connection, self._target)
