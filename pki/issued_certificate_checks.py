"""Whether a certificate that was signed elsewhere may be registered for a device.

The operator's command checks before it uploads, and the endpoint checks what it is sent: the same code, because
AWS IoT itself only looks for the issuer's signature. It would take a certificate for any key and any name.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.fingerprint import key_fingerprint
from pki.key_rules import KEY_RULE, WEAK_HASHES, describe_key, is_acceptable_key
from pki.names import common_names

# RegisterCertificate takes 65,536 characters of certificatePem (AWS IoT API reference). A leaf with its chain is
# far below; the limit is for what is no certificate at all.
MAX_CHARACTERS = 65_536

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class CertificateError(ValueError):
    """A certificate that must not be registered. The message is one sentence for the person who sent it."""


def read_leaf(pem: bytes) -> x509.Certificate:
    """The device's certificate out of a PEM file that holds it alone or with its chain, in any order.

    Raises:
        CertificateError: the text is empty, too long or no PEM, or it has no leaf, or several.
    """
    if len(pem) > MAX_CHARACTERS:
        raise CertificateError(f"The PEM is {len(pem):,} characters long; {MAX_CHARACTERS:,} are allowed.")
    if not pem.strip():
        raise CertificateError("There is no certificate: the text is empty.")
    try:
        leaves = [each for each in x509.load_pem_x509_certificates(pem) if not _is_ca(each)]
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise CertificateError("The text is not a certificate in PEM, or its DER is damaged.") from None
    if not leaves:
        raise CertificateError("The PEM holds only CA certificates, and no device certificate.")
    if len(leaves) > 1:
        raise CertificateError(f"The PEM holds {len(leaves)} device certificates; send one at a time.")
    return leaves[0]


def check_issued_certificate(
    certificate: x509.Certificate,
    *,
    authorities: Sequence[x509.Certificate],
    public_key_fingerprint: str,
    device: str,
    now: datetime,
) -> x509.Certificate:
    """Check a device's certificate against what is known of the device, and return the CA that issued it.

    Args:
        authorities: the CA certificates that are registered with AWS IoT for this fleet; one must be the issuer.
        public_key_fingerprint: of the key that asked (``pki.fingerprint``).
        device: the name that the common name must be.
        now: an aware datetime.

    Raises:
        CertificateError: the first thing that is wrong.
    """
    _check_key(certificate, public_key_fingerprint)
    _check_name(certificate, device)
    _check_validity(certificate, now)
    _check_purpose(certificate)
    return _check_issuer(certificate, authorities, now)


def _check_key(certificate: x509.Certificate, fingerprint: str) -> None:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"The certificate's key is of an unknown kind; AWS IoT takes {KEY_RULE}.") from None
    found = key_fingerprint(key)
    if found != fingerprint:
        raise CertificateError(f"The certificate is for the key {found}, but the device has the key {fingerprint}.")
    if not is_acceptable_key(key):
        raise CertificateError(f"The certificate's key is {describe_key(key)}; AWS IoT takes {KEY_RULE}.")


def _check_name(certificate: x509.Certificate, device: str) -> None:
    names = common_names(certificate.subject)
    if names != [device]:
        shown = " and ".join(repr(name) for name in names) or "empty"
        raise CertificateError(f"The certificate's common name is {shown}; it must be {device!r}.")


def _check_validity(certificate: x509.Certificate, now: datetime) -> None:
    if certificate.not_valid_before_utc > now:
        raise CertificateError(f"The certificate is not valid before {_show(certificate.not_valid_before_utc)}.")
    if certificate.not_valid_after_utc <= now:
        raise CertificateError(f"The certificate expired at {_show(certificate.not_valid_after_utc)}.")


def _check_purpose(certificate: x509.Certificate) -> None:
    """A TLS client's: RFC 5280 sections 4.2.1.3, 4.2.1.9 and 4.2.1.12. An extension that is absent forbids nothing."""
    if _is_ca(certificate):
        raise CertificateError("The certificate is a CA's (basicConstraints CA:TRUE), not a device's.")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        raise CertificateError("The certificate's keyUsage lacks digitalSignature, without which TLS cannot use it.")
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    client = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if purposes is not None and not client & set(purposes):
        raise CertificateError("The certificate's extendedKeyUsage lacks clientAuth.")


def _check_issuer(
    certificate: x509.Certificate, authorities: Sequence[x509.Certificate], now: datetime
) -> x509.Certificate:
    algorithm = certificate.signature_hash_algorithm
    if algorithm is not None and algorithm.name in WEAK_HASHES:
        raise CertificateError(f"The certificate is signed with {algorithm.name.upper()}; use SHA-256.")
    issuer = next((each for each in authorities if _is_issued_by(certificate, each)), None)
    if issuer is None:
        raise CertificateError(
            f"The certificate was not issued by this fleet's CA: its issuer is {certificate.issuer.rfc4514_string()!r}"
            f"{_same_name(certificate, authorities)}."
        )
    if not issuer.not_valid_before_utc <= now < issuer.not_valid_after_utc:
        raise CertificateError(
            f"The CA {issuer.subject.rfc4514_string()!r} is valid from {_show(issuer.not_valid_before_utc)} "
            f"to {_show(issuer.not_valid_after_utc)}, and not now."
        )
    return issuer


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _same_name(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> str:
    """A trap that looks like a mistake of this project: a CA that was made again under its old name."""
    if any(each.subject == certificate.issuer for each in authorities):
        return ", which is the right name, but the signature is another key's"
    return ""


def _is_ca(certificate: x509.Certificate) -> bool:
    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension):
        raise CertificateError("The certificate's extensions cannot be read.") from None


def _show(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
