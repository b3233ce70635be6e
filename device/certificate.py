"""The device's certificate: whose it is, until when, and when a new one is due."""

import datetime
import hashlib
from dataclasses import dataclass
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .errors import CertificateUnusable

# A renewal is due when this much of the life is over, as in AWS's and smallstep's practice.
DUE_NUMERATOR, DUE_DENOMINATOR = 2, 3


@dataclass(frozen=True)
class DeviceCertificate:
    """One X.509 certificate of this device."""

    x509: x509.Certificate

    @classmethod
    def from_pem(cls, pem: bytes, *, source: str) -> "DeviceCertificate":
        """Raises CertificateUnusable, naming `source`."""
        try:
            return cls(x509.load_pem_x509_certificate(pem))
        except ValueError:
            raise CertificateUnusable(
                f"{source} does not hold a certificate in PEM.",
                cure=f"remove it and bootstrap again, which gets the same certificate: rm {source}",
            ) from None

    @cached_property
    def pem(self) -> bytes:
        return self.x509.public_bytes(serialization.Encoding.PEM)

    @cached_property
    def der(self) -> bytes:
        return self.x509.public_bytes(serialization.Encoding.DER)

    @property
    def certificate_id(self) -> str:
        """AWS IoT's name for it: the SHA-256 of the DER, in hex."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def common_name(self) -> str | None:
        """The subject's CN; None when there is not exactly one."""
        names = self.x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if len(names) == 1 else None

    @property
    def not_before(self) -> datetime.datetime:
        return self.x509.not_valid_before_utc

    @property
    def not_after(self) -> datetime.datetime:
        return self.x509.not_valid_after_utc

    @property
    def due_at(self) -> datetime.datetime:
        """From here on a new one may be had: at two thirds of the life."""
        return self.not_before + (self.not_after - self.not_before) * DUE_NUMERATOR / DUE_DENOMINATOR

    def is_due(self, now: datetime.datetime) -> bool:
        return now >= self.due_at

    def is_for(self, public_key: ec.EllipticCurvePublicKey) -> bool:
        """Whether this certifies that key. Another key means a swapped HSM, or another slot."""
        return self.x509.public_key() == public_key

    def topic_name(self, name: str) -> str:
        """What stands for `{device}` in this device's topics over HTTPS.

        HTTPS connections have no thing, so the policy scopes them by the certificate's common name and by its
        id. Whether Amazon's issuer keeps a CSR's subject is not documented, so the certificate decides.
        """
        return name if self.common_name == name else self.certificate_id


def now() -> datetime.datetime:
    """The time, aware and in UTC, as certificates have it."""
    return datetime.datetime.now(datetime.UTC)
