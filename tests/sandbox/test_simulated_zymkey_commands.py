"""The simulated Zymkey's OpenSSL engine under the vendor's documented `openssl` and `curl` lines."""

import json
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sandbox.zymkey.build import build
from sandbox.zymkey.device import SimulatedZymkey
from tests.sandbox.vendor import CURL, OPENSSL_REQ, ask_module, public_key, run_line
from tests.support.device.authority import Authority
from tests.support.device.tls_server import TlsServer

ServerOf = Callable[[ssl.TLSVersion], TlsServer]


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build()


class Echo(BaseHTTPRequestHandler):
    """Tells a client what it sent and who the server took it for."""

    connection: ssl.SSLSocket

    def do_POST(self) -> None:
        certificate = x509.load_der_x509_certificate(self.connection.getpeercert(binary_form=True) or b"")
        reply = {
            "path": self.path,
            "body": self.rfile.read(int(self.headers["Content-Length"])).decode(),
            "client": certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value,
            "version": self.connection.version(),
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


def csr_in(folder: Path) -> x509.CertificateSigningRequest:
    return x509.load_pem_x509_csr((folder / "zymkey.csr").read_bytes())


@pytest.fixture
def server_of(zymkey: SimulatedZymkey, tmp_path: Path) -> ServerOf:
    """The folder that the curl line needs (zymkey.crt, AWS_CA.pem), and servers that insist on that certificate."""
    assert run_line(OPENSSL_REQ, zymkey, tmp_path).returncode == 0
    csr = csr_in(tmp_path)
    key = csr.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    authority = Authority()
    authority.write_pem(tmp_path / "AWS_CA.pem")
    (tmp_path / "zymkey.crt").write_bytes(authority.issue(key, csr.subject).public_bytes(Encoding.PEM))

    def server(version: ssl.TLSVersion) -> TlsServer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(authority.write_server(tmp_path, "127.0.0.1"))
        context.load_verify_locations(tmp_path / "AWS_CA.pem")
        return TlsServer(context, Echo)

    zymkey.reset()
    return server


def test_openssl_makes_a_csr_under_the_key_that_the_module_reports(zymkey: SimulatedZymkey, tmp_path: Path) -> None:
    result = run_line(OPENSSL_REQ, zymkey, tmp_path)
    assert result.returncode == 0, result.stderr
    csr = csr_in(tmp_path)
    assert csr.is_signature_valid
    assert csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "rpi.edge.zymbit.com"
    assert [(signature.slot, signature.caller) for signature in zymkey.record()] == [(0, "openssl")]
    assert csr.public_key() == public_key(ask_module(zymkey, "client.get_public_key(0)")[0])


def test_the_engine_takes_its_slot_from_the_environment(zymkey: SimulatedZymkey, tmp_path: Path) -> None:
    assert run_line(OPENSSL_REQ, zymkey, tmp_path, ZK_SSL_SLOT="1").returncode == 0
    assert csr_in(tmp_path).public_key() == public_key(ask_module(zymkey, "client.get_public_key(1)")[0])


@pytest.mark.parametrize("slot", ["3", "-1", "first"])
def test_the_engine_refuses_a_slot_that_is_none(zymkey: SimulatedZymkey, tmp_path: Path, slot: str) -> None:
    result = run_line(OPENSSL_REQ, zymkey, tmp_path, ZK_SSL_SLOT=slot)
    assert result.returncode == 1
    assert "no such slot" in result.stderr
    assert not (tmp_path / "zymkey.csr").exists()


def test_openssl_fails_when_the_device_does(zymkey: SimulatedZymkey, tmp_path: Path) -> None:
    zymkey.fail(-110)
    result = run_line(OPENSSL_REQ, zymkey, tmp_path)
    assert result.returncode == 1
    assert "(-110)" in result.stderr
    zymkey.reset()
    zymkey.absent()
    result = run_line(OPENSSL_REQ, zymkey, tmp_path)
    assert result.returncode == 1
    assert "no device found" in result.stderr


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_mutual_tls_handshake_with_curl_costs_exactly_one_signature(
    zymkey: SimulatedZymkey, tmp_path: Path, server_of: ServerOf, version: ssl.TLSVersion
) -> None:
    with server_of(version) as server:
        result = run_line(CURL.format(address=f"127.0.0.1:{server.port}"), zymkey, tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "path": "/topics/hello/world",
        "body": '{ "hello": "world"}',
        "client": "rpi.edge.zymbit.com",
        "version": version.name.replace("_", "."),
    }
    assert [(signature.slot, signature.caller) for signature in zymkey.record()] == [(0, "curl")]


def test_curl_refuses_a_certificate_of_another_slots_key(
    zymkey: SimulatedZymkey, tmp_path: Path, server_of: ServerOf
) -> None:
    with server_of(ssl.TLSVersion.TLSv1_3) as server:
        line = CURL.format(address=f"127.0.0.1:{server.port}")
        assert run_line(line, zymkey, tmp_path, ZK_SSL_SLOT="1").returncode == 58  # CURLE_SSL_CERTPROBLEM
    assert server.handshakes == 0


def test_a_device_that_stops_answering_fails_the_handshake(
    zymkey: SimulatedZymkey, tmp_path: Path, server_of: ServerOf
) -> None:
    zymkey.fail(-110)
    with server_of(ssl.TLSVersion.TLSv1_3) as server:
        result = run_line(CURL.format(address=f"127.0.0.1:{server.port}"), zymkey, tmp_path)
    assert result.returncode == 58
    assert server.handshakes == 0
