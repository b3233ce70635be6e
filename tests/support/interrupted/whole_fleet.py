"""A fleet on loopback: AWS, the HTTP API with its own function, a data endpoint, the operator's command and devices.

What only a deployment has is missing: templates, IAM, Lambda.
"""

import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from audit.judgement import Finding
from audit.survey import Survey
from functions import certificate_authority
from functions.deployment import Deployment
from functions.handlers import http_api
from infra.policy_document import policy_document
from infra.topics import Topics
from pki.certificates import ca_certificate, verification_certificate
from sandbox.data_endpoint.publishing import Publisher
from sandbox.data_endpoint.registry import Registry
from sandbox.data_endpoint.server import DataEndpoint, tls_context
from tests.support.aws_fleet import Fleet, csr_body
from tests.support.aws_functions import api_event
from tests.support.device.authority import Authority
from tests.support.device.tls_server import TlsServer
from tests.support.emulator import CREDENTIALS
from tests.support.fleet import enrollment_endpoint
from tests.support.fleet.deployment import Cloud, deploy
from tests.support.fork_server import ForkedProcess, locale_of, read_at_start
from tests.support.interrupted.recorder import Recorder
from tests.support.programs import PACKAGES, REPOSITORY, fork_server

ACCOUNT = "arn:aws:iot:us-east-1:000000000000"
YEAR = timedelta(days=365)


class _NoBroker:
    def publish(self, **_: Any) -> None:
        """Whether a message may be published is the question, not who reads it."""


@dataclass
class WholeFleet:
    """`operators` is what the operator's command has in its environment, `devices` what each device's has."""

    cloud: Cloud
    deployment: Deployment
    fleet: Fleet
    authority: x509.Certificate
    authority_key: ec.EllipticCurvePrivateKey | None
    recorder: Recorder
    data_port: int
    roots: Path
    operators: Mapping[str, str]
    devices: Mapping[str, str]
    set_clock: Callable[[int], None]
    """Let the function think that it is so many seconds later."""

    @property
    def url(self) -> str:
        return self.devices["ENROLLMENT_URL"]

    def operator(self, *words: object, **variables: str) -> ForkedProcess:
        """Begin a run of ``zymkey-fleet``."""
        return _start("zymkey-fleet", words, {**self.operators, **variables})

    def device(self, *words: object, **variables: str) -> ForkedProcess:
        """Begin a run of ``zymkey-iot``."""
        return _start("zymkey-iot", words, {**self.devices, **variables})

    def findings(self) -> list[Finding]:
        """What an audit finds."""
        survey = Survey(
            iot=self.cloud.iot,
            ledger=self.cloud.ledger,
            policy=self.cloud.policy,
            issuer=self.fleet.issuer,
            grace_seconds=10 * 86_400,
            now=int(datetime.now().timestamp()),
        )
        return list(survey.findings())

    def upload(self, certificate: x509.Certificate) -> None:
        """What another CA's tools do with a certificate that they have signed."""
        event = api_event("POST /certificates", certificate.public_bytes(Encoding.PEM))
        reply = http_api.answer(event, self.deployment)
        assert reply["statusCode"] == 200, reply

    def enroll(self, name: str, key: ec.EllipticCurvePrivateKey) -> int:
        """The status of the answer to a key that asks for a certificate."""
        event = api_event("POST /.well-known/est/simpleenroll", csr_body(key, name))
        return int(http_api.answer(event, self.deployment)["statusCode"])

    def can_publish(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, topic: str, folder: Path
    ) -> bool:
        """Whether AWS IoT takes a message from whoever has this certificate and its key."""
        pem = folder / "client.pem"
        pem.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        context = ssl.create_default_context(cafile=str(self.roots))
        context.load_cert_chain(pem)
        request = f"POST /topics/{topic}?qos=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        try:
            with (
                socket.create_connection(("127.0.0.1", self.data_port), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                connection.sendall(request.encode())
                return connection.recv(4096).startswith(b"HTTP/1.1 200")
        except (ssl.SSLError, ConnectionError):
            return False


def _start(program: str, words: tuple[object, ...], variables: Mapping[str, str]) -> ForkedProcess:
    env = {"PATH": os.environ["PATH"], **read_at_start(os.environ), **locale_of(os.environ), **variables}
    entry = f"import sys; from {PACKAGES[program]}.cli import main; sys.exit(main())"  # as in bin/
    return fork_server(program, env).start(["-c", entry, *map(str, words)], env=env, path=REPOSITORY)


@contextmanager
def running(
    aws: Callable[[str], Any], aws_address: str, monkeypatch: pytest.MonkeyPatch, folder: Path, issuer: str
) -> Iterator[WholeFleet]:
    """A fleet whose certificates ``kms`` or ``external`` issues, until the with block ends."""
    topics = Topics(publish=("devices/{device}/*",), subscribe=("devices/{device}/*",))
    cloud = deploy(aws, monkeypatch, issuer, policy=json.dumps(policy_document(topics, prefix=ACCOUNT)))
    ca, key, key_arn = _in_kms(aws, cloud) if issuer == "kms" else _at_hand(cloud)
    deployed = enrollment_endpoint.deployment(cloud, issuer=issuer, ca_certificates=[ca])
    deployment = Deployment(
        choices=replace(deployed.choices, ca_key_arn=key_arn),
        ledger=cloud.ledger,
        iot=cloud.iot,
        iot_once=cloud.iot,
        kms=aws("kms"),
    )
    roots, server_pem = _server_certificate(folder)
    later = [0]
    monkeypatch.setattr(http_api, "_now", lambda: datetime.now().timestamp() + later[0])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server_pem)
    recorder = Recorder(aws_address)

    class Handler(enrollment_endpoint.handler(deployment)):  # type: ignore[misc]
        def _answer(self, method: str) -> None:
            with recorder.call(f"{method} {self.path}"):
                super()._answer(method)

    registry = Registry(cloud.iot)
    data = DataEndpoint(
        port=0,
        context=tls_context(str(server_pem), str(server_pem)),
        registry=registry,
        publisher=Publisher(registry, _NoBroker()),  # type: ignore[arg-type]
    )
    threading.Thread(target=data.serve_forever, daemon=True).start()
    with TlsServer(context, Handler) as api, recorder:
        url = f"https://localhost:{api.port}"
        yield WholeFleet(
            cloud=cloud,
            deployment=deployment,
            fleet=Fleet(issuer=issuer, iot_policy=cloud.policy, iot=cloud.iot, ledger=cloud.ledger),
            authority=ca,
            authority_key=key,
            recorder=recorder,
            data_port=data.port,
            roots=roots,
            operators={
                **CREDENTIALS,
                "HOME": str(folder),
                "AWS_ENDPOINT_URL": recorder.url,
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "ZYMKEY_FLEET": cloud.fleet,
                "ENROLLMENT_URL": url,
                "CA_BUNDLE": str(roots),
            },
            devices={
                "HOME": str(folder),
                "ENROLLMENT_URL": url,
                "CA_BUNDLE": str(roots),
                "IOT_ENDPOINT": "localhost",
                "IOT_HTTPS_PORT": str(data.port),
                "ZYMKEY_IOT_KEY": "file:",
                "ZYMKEY_IOT_ON_RENEW": str(folder / "no-hooks"),
            },
            set_clock=lambda seconds: later.__setitem__(0, seconds),
        )
    data.close()
    for each in _registered(cloud):
        cloud.iot.update_ca_certificate(certificateId=each, newStatus="INACTIVE")
        cloud.iot.delete_ca_certificate(certificateId=each)


def _registered(cloud: Any) -> list[str]:
    return [each["certificateId"] for each in cloud.iot.list_ca_certificates()["certificates"]]


def _server_certificate(folder: Path) -> tuple[Path, Path]:
    authority = Authority()
    return authority.write_pem(folder / "roots.pem"), authority.write_server(folder, "localhost", "127.0.0.1")


def _in_kms(aws: Callable[[str], Any], cloud: Any) -> tuple[x509.Certificate, None, str]:
    """A CA in KMS that is a year old, so that its certificates can be old enough to be renewed."""
    arn = aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    properties = {"Name": "2026", "KeyArn": arn, "CommonName": "fleet CA", "Organization": "", "ValidityYears": "20"}
    made = certificate_authority.answer(
        {"RequestType": "Create", "ResourceProperties": properties},
        ledger=cloud.ledger,
        kms=aws("kms"),
        iot=cloud.iot,
        now=datetime.now(UTC) - YEAR,
    )["Data"]
    cloud.iot.register_ca_certificate(
        caCertificate=made["CertificatePem"],
        verificationCertificate=made["VerificationCertificatePem"],
        setAsActive=True,
    )
    return x509.load_pem_x509_certificate(made["CertificatePem"].encode()), None, arn


def _at_hand(cloud: Any) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    ca = ca_certificate(signer=key, common_name="fleet CA", organization="", validity_years=10, now=datetime.now(UTC))
    register_authority(cloud, ca, key)
    return ca, key, ""


def register_authority(cloud: Any, ca: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> str:
    """Register a CA with AWS IoT as active, for just-in-time registration too; returns its id there."""
    code = cloud.iot.get_registration_code()["registrationCode"]
    proof = verification_certificate(signer=key, ca=ca, registration_code=code, now=datetime.now(UTC))
    return str(
        cloud.iot.register_ca_certificate(
            caCertificate=ca.public_bytes(Encoding.PEM).decode(),
            verificationCertificate=proof.public_bytes(Encoding.PEM).decode(),
            setAsActive=True,
            allowAutoRegistration=True,
        )["certificateId"]
    )
