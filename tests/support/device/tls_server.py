"""A TLS server in a thread: the ground of the EST server, the data endpoint and the broker of these tests."""

import socket
import ssl
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler
from typing import Any, Self


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: "TlsServer"

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        # The handshake belongs to the connection's own thread: a client that fails it must not stop the server.
        try:
            super().process_request_thread(self.owner.take(request), client_address)
        except OSError:
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


def mutual_tls(server_pem: Path, client_ca: Path) -> ssl.SSLContext:
    """For a server that takes only clients with a certificate of `client_ca`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(client_ca))
    context.load_cert_chain(server_pem)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class TlsServer:
    """Serves `handler` on loopback over TLS, until the with block ends."""

    def __init__(self, context: ssl.SSLContext, handler: type[BaseRequestHandler]) -> None:
        self.context = context
        self.handshakes = 0
        self.alpn: str | None = None
        """What a client has to offer, as on AWS IoT's port 443; others are hung up on."""

        self.offered: list[str | None] = []
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def take(self, connection: socket.socket) -> ssl.SSLSocket:
        """Do the server's side of the handshake."""
        if self.alpn is not None:
            self.context.set_alpn_protocols([self.alpn])
        secured = self.context.wrap_socket(connection, server_side=True)
        self.handshakes += 1
        self.offered.append(secured.selected_alpn_protocol())
        if self.alpn is not None and secured.selected_alpn_protocol() != self.alpn:
            secured.close()
            raise ConnectionAbortedError
        return secured

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
