"""The device's certificate: which name and key it is for, how long it is valid, and when a new one is due."""

import datetime
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, PublicKeyAlgorithmOID

from .errors import CertificateUnusable

# A renewal is due after this part of the life, as AWS and smallstep recommend.
DUE_NUMERATOR, DUE_DENOMINATOR = 2, 3
# No other is read: the numbers of a Diffie-Hellman key are tested for being prime, for half a minute when they are
# long, and a certificate that is looked at may be anybody's.
_KINDS_OF_KEYS = (
    PublicKeyAlgorithmOID.EC_PUBLIC_KEY,
    PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5,
    PublicKeyAlgorithmOID.RSASSA_PSS,
)


@dataclass(frozen=True)
class DeviceCertificate:
    """One X.509 certificate of this device."""

    x509: x509.Certificate

    def __post_init__(self) -> None:
        """Read the dates, which ``cryptography`` does when it is asked for them, and not before.

        Raises:
            ValueError: they are none. The text says what the file holds, as the end of a sentence.
        """
        try:
            self.x509.not_valid_before_utc, self.x509.not_valid_after_utc  # noqa: B018
        except ValueError:
            raise ValueError("holds a certificate whose dates cannot be read") from None

    @classmethod
    def from_pem(cls, pem: bytes, *, source: str) -> "DeviceCertificate":
        """Read one certificate. ``source`` is the file's name, for the error.

        Raises:
            CertificateUnusable: ``pem`` is no certificate.
        """
        try:
            return cls(x509.load_pem_x509_certificate(pem))
        except ValueError:
            raise CertificateUnusable(
                f"{source} does not hold a certificate in PEM.",
                cure=f"remove the file (rm {source}) and bootstrap again, which gets the same certificate",
            ) from None

    @cached_property
    def pem(self) -> bytes:
        return self.x509.public_bytes(serialization.Encoding.PEM)

    @cached_property
    def der(self) -> bytes:
        return self.x509.public_bytes(serialization.Encoding.DER)

    @property
    def certificate_id(self) -> str:
        """AWS IoT's name for the certificate: the SHA-256 of the DER, in hex."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def common_name(self) -> str | None:
        """The subject's CN; None when there is not exactly one that can be read."""
        try:
            names = self.x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        except ValueError:  # the subject is read here and not before
            return None
        return str(names[0].value) if len(names) == 1 else None

    @property
    def subject(self) -> str:
        """As RFC 4514 writes one, for people to read."""
        return _shown(lambda: self.x509.subject)

    @property
    def issuer(self) -> str:
        """As ``subject``."""
        return _shown(lambda: self.x509.issuer)

    @property
    def not_before(self) -> datetime.datetime:
        return self.x509.not_valid_before_utc

    @property
    def not_after(self) -> datetime.datetime:
        return self.x509.not_valid_after_utc

    @property
    def due_at(self) -> datetime.datetime:
        """When a renewal becomes due: at two thirds of the life. From then on the cloud issues a new certificate."""
        return self.not_before + (self.not_after - self.not_before) * DUE_NUMERATOR / DUE_DENOMINATOR

    def is_due(self, now: datetime.datetime) -> bool:
        return now >= self.due_at

    @cached_property
    def public_key(self) -> ec.EllipticCurvePublicKey | None:
        """None when the key is of another kind, or cannot be read."""
        if self.x509.public_key_algorithm_oid not in _KINDS_OF_KEYS:
            return None
        try:
            key = self.x509.public_key()
        except (ValueError, UnsupportedAlgorithm):  # on a curve that cryptography does not know, or none at all
            return None
        return key if isinstance(key, ec.EllipticCurvePublicKey) else None

    def is_for(self, public_key: ec.EllipticCurvePublicKey) -> bool:
        """Whether the certificate is for that key. If not, the HSM was swapped, or the slot is another."""
        return self.public_key == public_key

    def has_signed(self, other: "DeviceCertificate") -> bool:
        """Whether this is the certificate of the CA that signed ``other``."""
        if self.x509.public_key_algorithm_oid not in _KINDS_OF_KEYS:
            return False
        try:
            other.x509.verify_directly_issued_by(self.x509)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            return False
        return True

    def topic_name(self, name: str) -> str:
        """What replaces ``{device}`` in this device's topics over HTTPS: its name, or the certificate's id.

        HTTPS connections have no thing, so the policy allows topics by the certificate's common name and by its id.
        Whether Amazon's CA keeps a CSR's subject is not documented, so the certificate decides.
        """
        return name if self.common_name == name else self.certificate_id


def _shown(name: Callable[[], x509.Name]) -> str:
    """A name that cannot be read, such as one in Latin-1, is no reason to fail: nothing depends on it."""
    try:
        return name().rfc4514_string()
    except ValueError:
        return "(a name that cannot be read)"


def now() -> datetime.datetime:
    """The time by this machine's clock, as an aware datetime in UTC."""
    return datetime.datetime.now(datetime.UTC)
