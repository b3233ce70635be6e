"""AWS IoT's HTTPS data endpoint as a device sees it: mutual TLS, topics, and the ways in which it says no."""

import json
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.device.tls_server import TlsServer, mutual_tls


@dataclass(frozen=True)
class Published:
    topic: str
    payload: bytes
    certificate: bytes
    """DER of what the client showed, and proved to have the key of."""


class DataEndpoint(TlsServer):
    """Takes clients whose certificate comes from `client_ca` and, with `known`, is among those (DER).

    It ends other connections as AWS IoT does with an unknown or inactive certificate, after a handshake that seemed
    to succeed. `refuse` makes it do so with the next ones, by `end` or `reset`. `allowed` is the prefix that topics
    must have. With `on_first_connection` it registers what it does not know: that hears of the certificate, its
    connection ends, and later ones are answered with 403 until `known` has it.
    """

    def __init__(self, server_pem: Path, client_ca: Path) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(mutual_tls(server_pem, client_ca), Handler)
        self.published: list[Published] = []
        self.allowed = "devices/"
        self.statuses: list[int] = []
        self.refuse: list[str] = []
        self.known: set[bytes] | None = None
        self.on_first_connection: Callable[[bytes], None] | None = None
        self.pending: set[bytes] = set()

    def take(self, connection: socket.socket) -> ssl.SSLSocket:
        secured = super().take(connection)
        shown = secured.getpeercert(binary_form=True)
        assert shown is not None
        unknown = self.known is not None and shown not in self.known
        if unknown and shown not in self.pending and self.on_first_connection is not None:
            self.pending.add(shown)
            self.on_first_connection(shown)
        elif shown in self.pending:
            unknown = False
        if self.refuse or unknown:
            if self.refuse and self.refuse.pop(0) == "reset":
                linger_not = struct.pack("ii", 1, 0)
                secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
            secured.close()
            raise ConnectionAbortedError
        return secured

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        topic = unquote(parts.path.removeprefix("/topics/"))
        payload = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        shown = handler.connection.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        is_active = self.known is None or shown in self.known
        allowed = is_active and topic.startswith(self.allowed)
        status = self.statuses.pop(0) if self.statuses else (200 if allowed else 403)
        if status == 200:
            assert parts.query == "qos=1"
            self.published.append(Published(topic, payload, shown))
        body = json.dumps({"message": "OK" if status == 200 else "no", "traceId": "trace-1"}).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        if status == 403:
            handler.send_header("x-amzn-ErrorType", "ForbiddenException:")
        handler.end_headers()
        handler.wfile.write(body)
