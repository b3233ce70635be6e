"""An X.509 certificate as the ledger records it."""

from ledger import Certificate, CertificateState
from pki.received_certificate import ReceivedCertificate


def record_of(certificate: ReceivedCertificate, *, device: str, issued_by: str, now: int) -> Certificate:
    """The ledger's record of a certificate that is signed, and not yet in use.

    Args:
        issued_by: the id of the CA certificate, or ``pki.issuers.AMAZON``.
        now: seconds since 1970.
    """
    return Certificate(
        device=device,
        certificate_id=certificate.certificate_id,
        pem=certificate.pem,
        fingerprint=certificate.fingerprint,
        serial=f"{certificate.serial:x}",
        not_before=int(certificate.not_before.timestamp()),
        not_after=int(certificate.not_after.timestamp()),
        issued_by=issued_by,
        state=CertificateState.RECORDED,
        updated_at=now,
    )
