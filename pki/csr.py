"""Certificate signing requests: liberal in how they are wrapped, strict in what they say."""

import base64
import binascii
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from pki.fingerprint import key_fingerprint
from pki.key_rules import KEY_RULE, WEAK_HASHES, describe_key, is_acceptable_key
from pki.names import common_names

# CreateCertificateFromCsr takes 4,096 characters (AWS IoT API reference); one rule for every issuer.
MAX_CHARACTERS = 4096


class CsrError(ValueError):
    """A CSR that must not be signed. The message is one sentence for the person who made it."""


@dataclass(frozen=True, kw_only=True)
class Csr:
    """A CSR whose signature proves that its sender holds the private key."""

    pem: str
    public_key: CertificatePublicKeyTypes
    fingerprint: str
    common_name: str  # empty when the CSR has none


def read_csr(body: bytes) -> Csr:
    """Read a PKCS#10 request as EST sends it (RFC 8951 section 3.1: base64 of the DER), or as PEM.

    Line breaks of any kind and PEM armour are accepted: clients differ.

    Raises:
        CsrError: it is empty, too long, not base64, not a CSR, its signature does not verify, or AWS IoT would not
            take its key.
    """
    if len(body) > MAX_CHARACTERS:
        raise CsrError(f"The CSR is {len(body):,} characters long; AWS IoT takes {MAX_CHARACTERS:,} at most.")
    request = _load(_unwrap(body))
    pem = request.public_bytes(Encoding.PEM).decode("ascii")
    if len(pem) > MAX_CHARACTERS:
        raise CsrError(f"The CSR is {len(pem):,} characters long as PEM; AWS IoT takes {MAX_CHARACTERS:,} at most.")
    public_key = _public_key(request)
    _check_signature(request)
    return Csr(
        pem=pem,
        public_key=public_key,
        fingerprint=key_fingerprint(public_key),
        common_name=_common_name(request.subject),
    )


def _unwrap(body: bytes) -> bytes:
    """The DER inside: without armour, without white space, out of base64."""
    text = body.strip()
    if not text:
        raise CsrError("There is no CSR: the request's body is empty.")
    lines = [line.strip() for line in text.splitlines()]
    if lines[0].startswith(b"-----BEGIN"):
        if b"CERTIFICATE REQUEST" not in lines[0]:
            raise CsrError(f"The PEM is not a CSR: it begins with {lines[0].decode('ascii', 'replace')!r}.")
        lines = [line for line in lines if line and not line.startswith(b"-----")]
    try:
        return base64.b64decode(b"".join(b"".join(lines).split()), validate=True)
    except (binascii.Error, ValueError):
        raise CsrError("The CSR is not base64: send the base64 of the DER, or PEM.") from None


def _load(der: bytes) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_der_x509_csr(der)
        request.subject  # parsed on first use: let it fail here if it does  # noqa: B018
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise CsrError("The body is base64, but what it holds is not a PKCS#10 CSR in DER.") from None
    return request


def _public_key(request: x509.CertificateSigningRequest) -> CertificatePublicKeyTypes:
    try:
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise CsrError(f"The CSR's key is of a kind that AWS IoT does not take; it takes {KEY_RULE}.") from None
    if not is_acceptable_key(key):
        raise CsrError(f"The CSR's key is {describe_key(key)}; AWS IoT takes {KEY_RULE}.")
    return key


def _check_signature(request: x509.CertificateSigningRequest) -> None:
    try:
        algorithm = request.signature_hash_algorithm
        valid = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CsrError("The CSR is signed with an unknown algorithm; use ECDSA or RSA with SHA-256.") from None
    if algorithm is not None and algorithm.name in WEAK_HASHES:
        raise CsrError(f"The CSR is signed with {algorithm.name.upper()}, which AWS IoT does not take; use SHA-256.")
    if not valid:
        raise CsrError(
            "The CSR's signature does not verify, so it does not prove who holds the key "
            "(a Zymkey signs r and s as 64 raw bytes; a CSR wants them in DER)."
        )


def _common_name(subject: x509.Name) -> str:
    names = common_names(subject)
    if len(names) > 1:
        raise CsrError(f"The CSR has {len(names)} common names; a device has one.")
    return names[0] if names else ""
