"""The name of a key, and of a certificate."""

import base64
import hashlib
import re
from typing import TypeGuard

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_PATTERN = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_CERTIFICATE_ID = re.compile(r"[0-9a-f]{64}")


def key_fingerprint(key: CertificatePublicKeyTypes) -> str:
    """A public key's fingerprint: ``SHA256:`` and 43 characters of unpadded base64, as ``ssh-keygen -l`` shows one.

    The hash is over the DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), so it is the same for the key in a
    CSR, in a certificate and in a PEM file.
    """
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(spki).digest()).decode().rstrip("=")


def is_key_fingerprint(text: str) -> bool:
    """Whether the text is written as a fingerprint is."""
    return _PATTERN.fullmatch(text) is not None


def is_certificate_id(value: object) -> TypeGuard[str]:
    """Whether this is an id that AWS IoT gives a certificate."""
    return isinstance(value, str) and _CERTIFICATE_ID.fullmatch(value) is not None


def certificate_id(certificate: x509.Certificate) -> str:
    """The id that AWS IoT gives a certificate: the SHA-256 of its DER, 64 hexadecimal digits."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
