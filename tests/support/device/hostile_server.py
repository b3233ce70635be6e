"""A server that does to its clients whatever a test says, from the first byte of a connection on."""

import itertools
import socket
import ssl
import struct
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.support.device.loopback_server import LoopbackServer

_DRIP_SECONDS = 0.05
_BLOCK = 64 * 1024


class Visit:
    """One connection. TCP is connected; TLS begins with `secure`."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._connection = connection
        self._context = context

    def secure(self) -> None:
        """The server's side of the handshake."""
        self._connection = self._context.wrap_socket(self._connection, server_side=True)

    def speak_old_tls(self) -> None:
        """From now on, none that a client of today takes."""
        self._context = old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    def receive(self) -> bytes:
        return self._connection.recv(_BLOCK)

    def request(self) -> bytes:
        """One request: its head and, by its Content-Length, its body."""
        received = b""
        while b"\r\n\r\n" not in received:
            block = self.receive()
            if not block:
                return received
            received += block
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while len(body) < sum(map(int, lengths)):
            body += self.receive()
        return head + b"\r\n\r\n" + body

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def drip(self, data: Iterable[int]) -> None:
        """Byte by byte, each soon enough to keep a client waiting that waits for single bytes."""
        for byte in data:
            self.send(bytes([byte]))
            time.sleep(_DRIP_SECONDS)

    def flood(self, data: bytes, *, most: int | None = None) -> None:
        """The same again and again, until the client goes; at most so many bytes."""
        block = data * max(1, _BLOCK // len(data))
        for _ in itertools.count() if most is None else range(most // len(block)):
            self.send(block)

    def say_nothing(self) -> None:
        """Wait until the client goes."""
        while self.receive():
            pass

    def reset(self) -> None:
        """End the connection as a crashed machine's peer sees it."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._connection.close()


Script = Callable[[Visit], None]


class HostileServer(LoopbackServer):
    """Listens on loopback until the with block ends. `script` is what happens to each connection."""

    def __init__(self, server_pem: Path, script: Script = Visit.close) -> None:
        super().__init__()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(server_pem)
        self.script = script
        self.visits = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        self.visits += 1
        visit = Visit(connection, self.context)
        try:
            self.script(visit)
        finally:
            visit.close()
