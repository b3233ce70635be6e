"""AWS IoT's MQTT broker as a device with a good certificate sees it: it passes messages on, or denies a step."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from socketserver import StreamRequestHandler
from typing import BinaryIO

from tests.support.device.tls_server import TlsServer

# MQTT 3.1.1, section 2.2.1.
_CONNECT, _PUBLISH, _SUBSCRIBE, _DISCONNECT = 1, 3, 8, 14
_NOT_AUTHORIZED, _FAILURE = 5, 0x80


class TopicBroker(TlsServer):
    """Sends each message of QoS 1 back to the client that published it, once it has subscribed to anything.

    `denial` says what it does instead: ``refuse connect`` (a reason code), ``drop connect``, ``refuse subscribe`` (a
    reason code), ``drop subscribe``, ``drop publish``, ``keep`` (it takes the message, and nothing comes back); and
    `denials` with how many connections it still does so, where that ends by itself.
    """

    def __init__(self, server_pem: Path, client_ca: Path) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(client_ca))
        context.load_cert_chain(server_pem)
        context.verify_mode = ssl.CERT_REQUIRED
        server = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                for kind, content in _packets(self.rfile):
                    reply = server.reply(kind, content)
                    if reply is None:
                        return
                    self.wfile.write(reply)

        super().__init__(context, Handler)
        self.denial = ""
        self.denials: int | None = None
        self.connections = 0
        self.messages: list[tuple[str, bytes]] = []

    def reply(self, kind: int, content: bytes) -> bytes | None:
        """The packets that answer one; None ends the connection."""
        step = {_CONNECT: "connect", _SUBSCRIBE: "subscribe", _PUBLISH: "publish"}.get(kind)
        if step == "connect":
            self.connections += 1
            if self.denials is not None and self.connections > self.denials:
                self.denial = ""
        if step is None or self.denial == f"drop {step}":
            return None
        refused = self.denial == f"refuse {step}"
        if kind == _CONNECT:
            return bytes([0x20, 2, 0, _NOT_AUTHORIZED if refused else 0])
        if kind == _SUBSCRIBE:
            return bytes([0x90, 3, *content[:2], _FAILURE if refused else 1])
        length = int.from_bytes(content[:2])
        topic, identifier, payload = content[2 : 2 + length], content[2 + length : 4 + length], content[4 + length :]
        self.messages.append((topic.decode(), payload))
        back = (
            b"" if self.denial == "keep" else bytes([0x30, 2 + length + len(payload)]) + content[:2] + topic + payload
        )
        return bytes([0x40, 2]) + identifier + back


def _packets(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Type and content of each control packet; lengths below 128 are one byte, and tests send no others."""
    while head := stream.read(2):
        yield head[0] >> 4, stream.read(head[1])
