"""An X.509 certificate as the ledger records it."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ledger import Certificate, CertificateState
from pki.fingerprint import certificate_id, key_fingerprint


def record_of(certificate: x509.Certificate, *, device: str, issued_by: str, now: int) -> Certificate:
    """The ledger's record of a certificate that is signed, and not yet in use.

    Args:
        issued_by: the id of the CA certificate, or ``pki.issuers.AMAZON``.
        now: seconds since 1970.
    """
    return Certificate(
        device=device,
        certificate_id=certificate_id(certificate),
        pem=certificate.public_bytes(Encoding.PEM).decode("ascii"),
        fingerprint=key_fingerprint(certificate.public_key()),
        serial=f"{certificate.serial_number:x}",
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
        issued_by=issued_by,
        state=CertificateState.RECORDED,
        updated_at=now,
    )
