"""The enrollment service as a device sees it: EST and GET /configuration, over real TLS.

It issues to any CSR whose signature verifies and gives the same key the same certificate again, and registers any
certificate that is uploaded. A test that wants another answer puts it into `answers`, or for uploads into
`upload_answers`: the next requests get those first.
"""

import base64
import datetime
import json
import ssl
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.device.authority import Authority, certs_only
from tests.support.device.tls_server import TlsServer

WITH_CONFIGURATION = "application/vnd.zymkey-fleet.enrollment+json"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def credentials(self) -> str | None:
        """`name:token`, decoded; None when none were sent."""
        header = self.headers.get("authorization", "")
        return base64.b64decode(header.removeprefix("Basic ")).decode() if header else None


class EstServer(TlsServer):
    def __init__(self, authority: Authority, server_pem: Path, *, data_port: int = 1) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(server_pem)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.serve(self)

            def do_POST(self) -> None:
                server.serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(context, Handler)
        self.authority = authority
        self.is_of_an_earlier_release = False
        self.asked: list[Asked] = []
        self.answers: list[Answer] = []
        self.upload_answers: list[Answer] = []
        self.registered: set[bytes] = set()
        self.authorities = [authority.certificate]
        self.issued: dict[bytes, x509.Certificate] = {}
        self.subject: x509.Name | None = None
        self.valid_for = datetime.timedelta(days=365)
        self.valid_since = datetime.timedelta(minutes=-5)
        self.configuration: dict[str, Any] = {
            "fleet": "loopback",
            "issuer": "kms",
            "dataEndpoint": "localhost",
            "httpsPort": data_port,
            "mqttPort": 8883,
            "topics": {"publish": ["devices/{device}/*"], "subscribe": ["devices/{device}/*"]},
        }

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/stage"

    @property
    def enrollments(self) -> list[Asked]:
        return [asked for asked in self.asked if "/simple" in asked.path]

    @property
    def uploads(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == "/stage/certificates"]

    def issue(self, csr_der: bytes) -> x509.Certificate:
        """The certificate of the CSR's key: the one it has, or a new one."""
        csr = x509.load_der_x509_csr(csr_der)
        assert csr.is_signature_valid
        public_key = csr.public_key()
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        spki = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if spki not in self.issued:
            since = datetime.datetime.now(datetime.UTC) + self.valid_since
            self.issued[spki] = self.authority.issue(
                public_key, self.subject or csr.subject, since=since, until=since + self.valid_for
            )
        return self.issued[spki]

    def _is_wanted_with_configuration(self, headers: dict[str, str]) -> bool:
        return not self.is_of_an_earlier_release and WITH_CONFIGURATION in headers.get("accept", "")

    def register(self, pem: bytes) -> Answer:
        der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
        if der in self.registered:
            return Answer(409, b"This certificate is already registered.")
        self.registered.add(der)
        return Answer(200, b"{}")

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append(Asked(handler.command, handler.path, headers, body))
        if self.answers:
            answer = self.answers.pop(0)
        elif handler.path == "/stage/configuration":
            answer = Answer(200, json.dumps(self.configuration).encode(), {"Content-Type": "application/json"})
        elif handler.path.startswith("/stage/.well-known/est/simple") and self._is_wanted_with_configuration(headers):
            pem = self.issue(base64.b64decode(body)).public_bytes(serialization.Encoding.PEM).decode()
            both = {"certificate": pem, "configuration": self.configuration}
            answer = Answer(200, json.dumps(both).encode(), {"Content-Type": WITH_CONFIGURATION})
        elif handler.path.startswith("/stage/.well-known/est/simple"):
            reply = base64.b64encode(certs_only(self.issue(base64.b64decode(body))))
            answer = Answer(200, reply, {"Content-Type": "application/pkcs7-mime; smime-type=certs-only"})
        elif handler.path == "/stage/.well-known/est/cacerts":
            answer = Answer(200, base64.b64encode(certs_only(*self.authorities)))
        elif handler.path == "/stage/certificates":
            answer = self.upload_answers.pop(0) if self.upload_answers else self.register(body)
        else:
            answer = Answer(404, b"not found")
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)
