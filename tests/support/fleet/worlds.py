"""AWS as a throw-away device meets it, where its documents leave open what it does: each answer can be chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.smoke_test import settling
from fleet.smoke_test.connections import Endpoint
from fleet.smoke_test.device import ThrowAwayDevice
from fleet.smoke_test.report import Report
from fleet.smoke_test.steps import Enrolled
from pki.fingerprint import certificate_id
from pki.issuers import KMS
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.tls_server import TlsServer, mutual_tls
from tests.support.device.topic_broker import TopicBroker

TOPICS = {"publish": ["devices/{device}/*"], "subscribe": ["devices/{device}/*"]}


def api_error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


@dataclass
class Iot:
    """AWS IoT's control plane. ``statuses`` has what is registered; ``modes`` the CAs, by id; errors are raised."""

    statuses: dict[str, str] = field(default_factory=dict)
    ca: str | None = "ca" * 32
    mode: str | ClientError | None = "SNI_ONLY"
    on_detach: Callable[[], None] = lambda: None
    detached: list[str] = field(default_factory=list)
    exceptions = SimpleNamespace(ResourceNotFoundException=ClientError)

    def describe_certificate(self, *, certificateId: str) -> dict[str, Any]:  # noqa: N803
        if certificateId not in self.statuses:
            raise api_error("ResourceNotFoundException", "DescribeCertificate")
        described = {"certificateArn": f"arn:{certificateId}", "status": self.statuses[certificateId]}
        return {"certificateDescription": described | ({} if self.ca is None else {"caCertificateId": self.ca})}

    def describe_ca_certificate(self, *, certificateId: str) -> dict[str, Any]:  # noqa: N803
        assert certificateId == self.ca
        if isinstance(self.mode, ClientError):
            raise self.mode
        return {"certificateDescription": {} if self.mode is None else {"certificateMode": self.mode}}

    def detach_thing_principal(self, *, thingName: str, principal: str) -> None:  # noqa: N803
        self.detached.append(f"{thingName} {principal}")
        self.on_detach()


class CredentialProvider(TlsServer):
    """Answers each request with `answer`: a status and a body, or None for a connection that ends."""

    def __init__(self, server_pem: Path, client_ca: Path) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers["x-amzn-iot-thingname"]))
                answer = server.answer(self.headers["x-amzn-iot-thingname"])
                if answer is None:
                    return
                status, body = answer
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(mutual_tls(server_pem, client_ca), Handler)
        self.asked: list[tuple[str, str]] = []
        self.answer: Callable[[str], tuple[int, Any] | None] = lambda name: None


@dataclass
class World:
    """A device with its certificate, and what it connects to."""

    folder: Path
    authority: Authority
    https: DataEndpoint
    mqtt: TopicBroker
    provider: CredentialProvider
    roots: str
    report: Report
    iot: Iot
    device: ThrowAwayDevice
    issuer: str = KMS
    mqtt_without_thing: str = "allow"
    topics: dict[str, list[str]] = field(default_factory=lambda: dict(TOPICS))

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(host="localhost", https_port=self.https.port, mqtt_port=self.mqtt.port, roots=self.roots)

    @property
    def deployment(self) -> Any:
        outputs = SimpleNamespace(issuer=self.issuer, mqtt_without_thing=self.mqtt_without_thing)
        return SimpleNamespace(outputs=outputs, iot=self.iot)

    def certificate(self, subject: x509.Name | None = None) -> x509.Certificate:
        return self.authority.issue(self.device.key.public_key(), self.device.subject if subject is None else subject)

    def enrolled(self, subject: x509.Name | None = None, **configuration: Any) -> Enrolled:
        certificate = self.certificate(subject)
        self.iot.statuses[certificate_id(certificate)] = "ACTIVE"
        return Enrolled(
            device=self.device,
            certificate=certificate,
            files=self.device.save(certificate),
            configuration={"topics": self.topics, **configuration},
            endpoint=self.endpoint,
        )


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Everything is allowed, until a test says otherwise."""
    authority = Authority()
    ca = authority.write_pem(folder / "ca.pem")
    authority.write_server(folder, "localhost", "127.0.0.1")
    server = folder / "localhost.pem"
    with ExitStack() as stack:
        yield World(
            folder=folder,
            authority=authority,
            https=stack.enter_context(DataEndpoint(server, ca)),
            mqtt=stack.enter_context(TopicBroker(server, ca)),
            provider=stack.enter_context(CredentialProvider(server, ca)),
            roots=str(ca),
            report=Report(prints=False),
            iot=Iot(),
            device=ThrowAwayDevice(folder=folder),
        )


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


@pytest.fixture
def aws_iot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for variable in ("IOT_CREDENTIAL_ENDPOINT", "CA_BUNDLE", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(settling, "SETTLES_SECONDS", 0.4)
    monkeypatch.setattr(settling, "PAUSE_SECONDS", 0.02)
    with world(tmp_path) as made:
        yield made
