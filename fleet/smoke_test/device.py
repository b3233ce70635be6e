"""A throw-away device, with a software key."""

from __future__ import annotations

import base64
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pki.fingerprint import key_fingerprint
from pki.names import THINGLESS_PREFIX, VERIFY_PREFIX, common_name_only

PREFIX = VERIFY_PREFIX
ORGANIZATION = "zymkey-fleet verify"


def thingless_name() -> str:
    """For the device that the setting ``mqttWithoutThing: try`` is about."""
    return THINGLESS_PREFIX + secrets.token_hex(4)


@dataclass(frozen=True, kw_only=True)
class ThrowAwayDevice:
    """Its files are in ``folder``, which only its owner can read, and which is removed when the smoke test ends."""

    folder: Path
    name: str = field(default_factory=lambda: PREFIX + secrets.token_hex(4))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False)

    @property
    def fingerprint(self) -> str:
        return key_fingerprint(self.key.public_key())

    @property
    def subject(self) -> x509.Name:
        """Of its CSR: the name, and an organization, to show what a CA makes of it."""
        return x509.Name([*common_name_only(self.name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION)])

    def csr(self) -> bytes:
        """A CSR as EST takes it (RFC 8951 section 3.1): base64 of the DER."""
        request = x509.CertificateSigningRequestBuilder().subject_name(self.subject).sign(self.key, hashes.SHA256())
        return base64.b64encode(request.public_bytes(Encoding.DER))

    def save(self, certificate: x509.Certificate, *chain: x509.Certificate) -> tuple[str, str]:
        """Write certificate and key for the TLS libraries; returns their paths."""
        certificate_file, key_file = self.folder / f"{self.name}.crt", self.folder / f"{self.name}.key"
        certificate_file.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in (certificate, *chain)))
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(key)
        return str(certificate_file), str(key_file)
