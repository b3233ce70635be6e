"""The sandbox's own server certificate is good for clients of every age."""

import datetime
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography import x509

from sandbox import certificates
from sandbox.certificates import ServerCertificates, ensure_server_certificates


@pytest.fixture
def files(tmp_path: Path) -> ServerCertificates:
    return ensure_server_certificates(tmp_path)


@pytest.mark.parametrize("name", ["localhost", "ab12.execute-api.localhost", "x.iot.us-east-1.localhost"])
def test_openssl_verifies_it_strictly_for_every_name(files: ServerCertificates, name: str) -> None:
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", files.root]
    subprocess.run([*command, "-verify_hostname", name, files.chain], check=True, capture_output=True)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_pythons_strictest_client_accepts_it(files: ServerCertificates, name: str) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.chain, files.key)
    client = ssl.create_default_context(cafile=str(files.root))
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    here, there = socket.socketpair()
    with here, there:
        accepting = threading.Thread(target=lambda: server.wrap_socket(there, server_side=True).close())
        accepting.start()
        client.wrap_socket(here, server_hostname=name).close()
        accepting.join()


def test_a_good_one_is_kept(files: ServerCertificates) -> None:
    before = files.chain.read_bytes()
    ensure_server_certificates(files.chain.parent)
    assert files.chain.read_bytes() == before


def test_one_that_soon_expires_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "VALIDITY", certificates.RENEW_BEFORE - datetime.timedelta(hours=1))
    old = ensure_server_certificates(tmp_path).chain.read_bytes()
    monkeypatch.undo()
    new = ensure_server_certificates(tmp_path).chain.read_bytes()
    assert new != old
    assert x509.load_pem_x509_certificate(new).not_valid_after_utc > datetime.datetime.now(
        datetime.UTC
    ) + datetime.timedelta(days=300)


def test_the_key_is_readable_by_its_owner_alone(files: ServerCertificates) -> None:
    assert files.key.stat().st_mode & 0o777 == 0o600
