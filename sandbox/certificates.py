"""The sandbox's own certificate authority and the server certificate that its listeners show.

On AWS the servers' certificates chain to Amazon's roots. Here they chain to a root made on this machine, which
commands trust through AWS_CA_BUNDLE, NODE_EXTRA_CA_CERTS and CA_BUNDLE.
"""

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.names import common_name_only

from .addresses import REGION

VALIDITY = datetime.timedelta(days=365)
# Certificates that have less time left than this are replaced, so that none expires while a sandbox runs.
RENEW_BEFORE = datetime.timedelta(days=7)

SERVER_NAMES = ["localhost", "*.execute-api.localhost", f"*.iot.{REGION}.localhost"]


@dataclass(frozen=True, kw_only=True)
class ServerCertificates:
    """PEM files. ``root`` is what clients trust; ``chain`` and ``key`` are what the listeners load."""

    root: Path
    chain: Path
    key: Path

    @classmethod
    def in_directory(cls, directory: Path) -> "ServerCertificates":
        return cls(root=directory / "root.crt", chain=directory / "server.crt", key=directory / "server.key")


def ensure_server_certificates(directory: Path) -> ServerCertificates:
    """Make the root and the server certificate in ``directory``, or keep those that are still valid."""
    files = ServerCertificates.in_directory(directory)
    if not _still_valid(files):
        directory.mkdir(parents=True, exist_ok=True)
        _make(files)
    return files


def _still_valid(files: ServerCertificates) -> bool:
    if not (files.root.exists() and files.chain.exists() and files.key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(files.chain.read_bytes())
    return certificate.not_valid_after_utc - RENEW_BEFORE > datetime.datetime.now(datetime.UTC)


def _make(files: ServerCertificates) -> None:
    root_key = ec.generate_private_key(ec.SECP256R1())
    root_name = common_name_only("zymkey-fleet sandbox root")
    root = (
        _builder(subject=root_name, issuer=root_name, key=root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # Python 3.13 verifies strictly: a root without keyUsage is refused.
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    server = (
        _builder(subject=common_name_only("localhost"), issuer=root_name, key=key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_subject_alternative_name(), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    _write_private(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files.root.write_bytes(root.public_bytes(Encoding.PEM))
    files.chain.write_bytes(server.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))


def _builder(*, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALIDITY)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject_alternative_name() -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in SERVER_NAMES]
    return x509.SubjectAlternativeName([*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
