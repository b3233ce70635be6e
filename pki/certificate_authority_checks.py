"""Whether AWS IoT would register a CA certificate: asked on the operator's machine, before anything is deployed.

Rules: AWS IoT developer guide, "Manage your CA certificates"; API reference, RegisterCACertificate.
"""

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from pki.armour import ArmourError, unwrap
from pki.key_rules import KEY_RULE, WEAK_HASHES, describe_key, is_acceptable_key, public_key_of
from pki.kinds import CERTIFICATE, kind_of
from pki.names import common_names
from pki.received_certificate import CertificateError

_CA = "The CA certificate"
_VERIFICATION = "The verification certificate"


def read_ca_certificate(pem: bytes) -> x509.Certificate:
    """The one certificate of a CA's PEM file.

    Raises:
        CertificateError: the file does not hold one certificate, in any wrapping that ``pki.armour`` knows.
    """
    return _read(pem, _CA)


def read_verification_certificate(pem: bytes) -> x509.Certificate:
    """The one certificate of a verification certificate's PEM file.

    Raises:
        CertificateError: the file does not hold one certificate, in any wrapping that ``pki.armour`` knows.
    """
    return _read(pem, _VERIFICATION)


def check_certificate_authority(certificate: x509.Certificate, *, now: datetime) -> None:
    """Check what RegisterCACertificate checks of a CA certificate.

    Args:
        now: an aware datetime.

    Raises:
        CertificateError: the first thing that is wrong.
    """
    _check_ca_extensions(certificate)
    _check_validity(certificate, now, _CA)
    _check_algorithms(certificate)


def check_verification_certificate(
    certificate: x509.Certificate, *, ca: x509.Certificate, now: datetime | None, registration_code: str | None = None
) -> None:
    """Check the proof of possession of the CA's key: a certificate that it signed, named by the account's code.

    Args:
        now: an aware datetime; None when the CA may be registered already, so that its proof may be over.
        registration_code: ``GetRegistrationCode``'s value, where it is known.

    Raises:
        CertificateError: the first thing that is wrong.
    """
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        raise CertificateError(
            f"{_VERIFICATION} names the issuer {certificate.issuer.rfc4514_string()!r} "
            f"and is not signed by the CA {ca.subject.rfc4514_string()!r}."
        ) from None
    if now is not None:
        _check_validity(certificate, now, _VERIFICATION)
    names = common_names(certificate.subject)
    if not names:
        raise CertificateError(f"{_VERIFICATION} has no common name; it must be the account's registration code.")
    if registration_code is not None and names != [registration_code]:
        raise CertificateError(
            f"{_VERIFICATION}'s common name is {names[0]!r}, but the registration code of this account and Region is "
            f"{registration_code!r}."
        )


def _read(content: bytes, which: str) -> x509.Certificate:
    damaged = f"{which} is not PEM, or its DER is damaged"
    try:
        blocks = [(block, kind_of(block)) for block in unwrap(content)]
    except ArmourError as error:
        raise CertificateError(f"{damaged}: {error}.") from None
    found = [block for block, kind in blocks if kind in (CERTIFICATE, None)]
    if not found:
        raise CertificateError(f"{which}'s file holds {blocks[0][1]}, and no certificate.")
    if len(found) != 1:
        raise CertificateError(f"{which}'s file holds {len(found)} certificates; it must hold one.")
    try:
        certificate = x509.load_der_x509_certificate(found[0].der)
        # Parsed on first use: let it fail here.
        certificate.subject, certificate.issuer, certificate.extensions  # noqa: B018
        certificate.not_valid_before_utc, certificate.not_valid_after_utc  # noqa: B018
    except Exception:  # noqa: BLE001 - what odd bytes make the library raise is written nowhere
        raise CertificateError(f"{damaged}.") from None
    return certificate


def _check_ca_extensions(certificate: x509.Certificate) -> None:
    """RFC 5280 sections 4.2.1.9 and 4.2.1.3. AWS IoT insists on the first alone; the second is checked by TLS."""
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    if not is_ca:
        raise CertificateError(f"{_CA} is not a CA's: basicConstraints CA:TRUE is missing.")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise CertificateError(f"{_CA}'s keyUsage lacks keyCertSign, so it may not sign certificates.")


def _check_validity(certificate: x509.Certificate, now: datetime, which: str) -> None:
    if certificate.not_valid_before_utc > now:
        raise CertificateError(f"{which} is not valid before {_show(certificate.not_valid_before_utc)}.")
    if certificate.not_valid_after_utc <= now:
        raise CertificateError(f"{which} expired at {_show(certificate.not_valid_after_utc)}.")


def _check_algorithms(certificate: x509.Certificate) -> None:
    try:
        algorithm = certificate.signature_hash_algorithm
        key = public_key_of(certificate)
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"{_CA}'s key or signature is of an unknown kind; AWS IoT takes {KEY_RULE}.") from None
    if algorithm is not None and algorithm.name in WEAK_HASHES:
        raise CertificateError(f"{_CA} is signed with {algorithm.name.upper()}, which AWS IoT does not take.")
    if not is_acceptable_key(key):
        raise CertificateError(f"{_CA}'s key is {describe_key(key)}; AWS IoT takes {KEY_RULE}.")


def _show(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
