"""The sandbox's example CA, with its key at hand, as a factory or another CA's tools have it."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pki.certificates import device_certificate


class Certifiable(Protocol):
    """Whoever has a name and a key."""

    @property
    def name(self) -> str: ...

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey: ...


@dataclass(frozen=True)
class Authority:
    """Signs device certificates."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, sandbox: Any) -> "Authority":
        """The CA that the sandbox made for the external issuer."""
        folder: Path = sandbox.addresses.directory / "external-ca"
        key = load_pem_private_key((folder / "ca.key").read_bytes(), (folder / "passphrase").read_bytes().strip())
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes()), key)

    def sign(self, owner: Certifiable, **changes: Any) -> x509.Certificate:
        """A certificate that the fleet takes of the owner; `changes` are arguments of `device_certificate`."""
        arguments: dict[str, Any] = {
            "signer": self.key,
            "ca": self.certificate,
            "key": owner.public_key,
            "device": owner.name,
            "subject": {},
            "validity_days": 30,
            "now": dt.datetime.now(dt.UTC),
        }
        return device_certificate(**{**arguments, **changes})

    def backdated(self, certificate: x509.Certificate, since: dt.datetime) -> x509.Certificate:
        """The same certificate, but that its life began earlier, even before the CA's own."""
        builder = x509.CertificateBuilder(
            certificate.issuer,
            certificate.subject,
            certificate.public_key(),
            certificate.serial_number,
            since,
            certificate.not_valid_after_utc,
            list(certificate.extensions),
        )
        return builder.sign(self.key, hashes.SHA256())
