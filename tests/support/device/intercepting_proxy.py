"""A web proxy that opens TLS, as company networks have them: it shows certificates of its own and reads along."""

import socket
import ssl
from contextlib import suppress
from pathlib import Path

from tests.support.device.authority import Authority
from tests.support.device.loopback_server import LoopbackServer, read_head


class InterceptingProxy(LoopbackServer):
    """Answers CONNECT, then talks TLS with either side. `issuer` is the name that its certificates give."""

    def __init__(self, folder: Path, *, issuer: str) -> None:
        super().__init__()
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(Authority(issuer).write_server(folder, "localhost", "127.0.0.1"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        # The client sees whose certificate it is, and goes: then there is no head to read.
        with suppress(ValueError, IndexError), connection:
            host, _, port = read_head(connection).split()[1].decode().rpartition(":")
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with (
                self._context.wrap_socket(connection, server_side=True) as inside,
                _tls_to(host, int(port)) as outside,
            ):
                outside.sendall(read_head(inside))
                inside.sendall(read_head(outside))


def _tls_to(host: str, port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((host, port), 10), server_hostname=host)
