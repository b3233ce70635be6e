"""Whether a certificate that was signed elsewhere may be registered for a device.

The operator's command checks before it uploads, and the endpoint checks what it is sent: the same code, because
AWS IoT itself only looks for the issuer's signature. It would take a certificate for any key and any name.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.key_rules import KEY_RULE, WEAK_HASHES, describe_key, is_acceptable_key, public_key_of
from pki.names import USUAL_STRINGS
from pki.received_certificate import CertificateError, ReceivedCertificate, subject_der_of, subject_of


def check_issued_certificate(
    certificate: ReceivedCertificate,
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
    if certificate.fingerprint != public_key_fingerprint:
        raise CertificateError(
            f"The certificate is for the key {certificate.fingerprint}, "
            f"but the device has the key {public_key_fingerprint}."
        )
    _check_name(certificate, device)
    return check_certificate_of_fleet(certificate, authorities=authorities, now=now)


def check_certificate_of_fleet(
    certificate: ReceivedCertificate, *, authorities: Sequence[x509.Certificate], now: datetime
) -> x509.Certificate:
    """The same checks, as far as they need no device: what a stranger's certificate has to pass before anything else.

    Raises:
        CertificateError: the first thing that is wrong.
    """
    _check_key_kind(certificate)
    _check_validity(certificate, now)
    _check_purpose(certificate)
    return _check_issuer(certificate, authorities, now)


def _check_key_kind(certificate: ReceivedCertificate) -> None:
    key = certificate.public_key
    if not is_acceptable_key(key):
        raise CertificateError(f"The certificate's key is {describe_key(key)}; AWS IoT takes {KEY_RULE}.")


def _check_name(certificate: ReceivedCertificate, device: str) -> None:
    names = certificate.common_names
    if [name.text for name in names] != [device]:
        shown = " and ".join(repr(name.text) for name in names) or "empty"
        raise CertificateError(f"The certificate's common name is {shown}; it must be {device!r}.")
    if not names[0].is_usual:
        raise CertificateError(
            f"The certificate's common name is a {names[0].string}, which AWS IoT may read otherwise; "
            f"it must be a {' or a '.join(USUAL_STRINGS)}."
        )


def _check_validity(certificate: ReceivedCertificate, now: datetime) -> None:
    if certificate.not_before > now:
        raise CertificateError(f"The certificate is not valid before {_show(certificate.not_before)}.")
    if certificate.not_after <= now:
        raise CertificateError(f"The certificate expired at {_show(certificate.not_after)}.")


def _check_purpose(certificate: ReceivedCertificate) -> None:
    """A TLS client's: RFC 5280 sections 4.2.1.3, 4.2.1.9 and 4.2.1.12. An extension that is absent forbids nothing."""
    if certificate.is_ca:
        raise CertificateError("The certificate is a CA's (basicConstraints CA:TRUE), not a device's.")
    if certificate.may_sign_data is False:
        raise CertificateError("The certificate's keyUsage lacks digitalSignature, without which TLS cannot use it.")
    client = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if certificate.purposes is not None and not client & certificate.purposes:
        raise CertificateError("The certificate's extendedKeyUsage lacks clientAuth.")


def _check_issuer(
    certificate: ReceivedCertificate, authorities: Sequence[x509.Certificate], now: datetime
) -> x509.Certificate:
    if certificate.signature_hash in WEAK_HASHES:
        raise CertificateError(f"The certificate is signed with {certificate.signature_hash.upper()}; use SHA-256.")
    issuer = next((each for each in authorities if _is_issued_by(certificate, each)), None)
    if issuer is None:
        raise CertificateError(
            f"The certificate was not issued by this fleet's CA: its issuer is {certificate.issuer!r}"
            f"{_same_name(certificate, authorities)}."
        )
    if not issuer.not_valid_before_utc <= now < issuer.not_valid_after_utc:
        raise CertificateError(
            f"The CA {subject_of(issuer)!r} is valid from {_show(issuer.not_valid_before_utc)} "
            f"to {_show(issuer.not_valid_after_utc)}, and not now."
        )
    return issuer


def _is_issued_by(certificate: ReceivedCertificate, authority: x509.Certificate) -> bool:
    try:
        public_key_of(authority)  # it may be of a kind that takes minutes to read
        certificate.certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _same_name(certificate: ReceivedCertificate, authorities: Sequence[x509.Certificate]) -> str:
    """A trap that looks like a mistake of this project: a CA that was made again under its old name."""
    if any(subject_der_of(each) == certificate.issuer_der for each in authorities):
        return ", which is the right name, but the signature is another key's"
    return ""


def _show(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
