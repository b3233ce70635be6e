"""AWS IoT's MQTT broker at a first connection: it takes a CONNECT, registers the certificate, and hangs up."""

import ssl
from collections.abc import Callable
from pathlib import Path
from socketserver import StreamRequestHandler

from tests.support.device.tls_server import TlsServer

ACCEPTED = b"\x20\x02\x00\x00"
"""CONNACK (MQTT 3.1.1 section 3.2)."""


class MqttBroker(TlsServer):
    """Accepts the certificates (DER) in `known`, and drops all others after their CONNECT.

    `on_first_connection` hears of each that was dropped. A client has to show a chain that leads to `client_root`.
    """

    def __init__(self, server_pem: Path, client_root: Path, known: set[bytes]) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(client_root))
        context.load_cert_chain(server_pem)
        context.verify_mode = ssl.CERT_REQUIRED
        server = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                kind, length = self.rfile.read(2)  # lengths below 128 are one byte
                assert kind == 0x10, "not a CONNECT"
                server.serve(self, self.rfile.read(length))

        super().__init__(context, Handler)
        self.known = known
        self.client_ids: list[str] = []
        self.on_first_connection: Callable[[bytes], None] = lambda _: None

    def serve(self, handler: StreamRequestHandler, connect: bytes) -> None:
        # Protocol name, level, flags and keep-alive are 10 bytes; then the client id, its length first.
        self.client_ids.append(connect[12 : 12 + int.from_bytes(connect[10:12])].decode())
        shown = handler.connection.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        if shown in self.known:
            handler.wfile.write(ACCEPTED)
            handler.rfile.read()
        else:
            self.on_first_connection(shown)
