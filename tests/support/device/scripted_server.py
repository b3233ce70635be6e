"""A server that says what a test tells it to, byte for byte: over TLS, or over bare TCP as a proxy does."""

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from tests.support.device.loopback_server import LoopbackServer, read_head

Script = Callable[[socket.socket, bytes], None]
"""Gets the connection and the head of what was asked on it; returning ends the connection."""


class ScriptedServer(LoopbackServer):
    """Runs a script for each connection to `url`, on loopback, until the with block ends. `heads` is what was asked."""

    def __init__(self, script: Script, *, pem: Path | None = None, alpn: str | None = None) -> None:
        super().__init__()
        self.heads: list[bytes] = []
        self.alpn: list[str | None] = []
        self._script = script
        self._context: ssl.SSLContext | None = None
        if pem is not None:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._context.load_cert_chain(pem)
            if alpn is not None:
                self._context.set_alpn_protocols([alpn])

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/"

    def serve(self, connection: socket.socket) -> None:
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
            assert isinstance(connection, ssl.SSLSocket)
            self.alpn.append(connection.selected_alpn_protocol())
        with connection:
            head = read_head(connection)
            self.heads.append(head)
            self._script(connection, head)


def relay(client: socket.socket, port: int) -> None:
    """Carry bytes between a client and a server on loopback until either ends, as a proxy's tunnel does."""
    with socket.create_connection(("127.0.0.1", port)) as server:
        both = threading.Thread(target=_pump, args=(server, client), daemon=True)
        both.start()
        _pump(client, server)
        both.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
