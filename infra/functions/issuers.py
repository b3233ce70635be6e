"""Who signs: the three ways from a CSR to a recorded certificate. A deployment's settings choose one.

Each takes a device that holds its lease, and returns a certificate that is in the ledger and that
``registration`` may finish, or raises ``NotYet``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from infra.functions.deployment import Deployment
from infra.functions.refusals import NotYet
from ledger import Certificate, CertificateState, LedgerError
from pki.certificates import device_certificate
from pki.csr import Csr
from pki.fingerprint import certificate_id, key_fingerprint
from pki.kms_key import KmsPrivateKey

AMAZON = "aws"  # what the ledger calls Amazon's CA, whose certificate nobody is shown
OFFLINE_RETRY_SECONDS = 60

Issuer = Callable[[Csr, str, str, int, Deployment], Certificate]


def issue(csr: Csr, device: str, lease: str, now: int, deployment: Deployment) -> Certificate:
    """Have the CSR signed by this deployment's issuer.

    Raises:
        NotYet: a CA elsewhere has to sign it first.
        LedgerError: the device is blocked, or another request has taken over.
    """
    return _ISSUERS[deployment.choices.issuer](csr, device, lease, now, deployment)


def recorded(certificate: x509.Certificate, *, device: str, issued_by: str, now: int) -> Certificate:
    """An X.509 certificate as the ledger writes it down."""
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


def _sign_in_kms(csr: Csr, device: str, lease: str, now: int, deployment: Deployment) -> Certificate:
    """Sign with the newest CA's key, and write the certificate down before AWS IoT hears of it."""
    choices = deployment.choices
    ca = choices.ca_certificates[-1]
    ca_key = ca.public_key()
    if not isinstance(ca_key, ec.EllipticCurvePublicKey):
        raise TypeError("the CA in KMS has an EC key")
    certificate = device_certificate(
        signer=KmsPrivateKey(client=deployment.kms, key_id=choices.ca_key_arn, public_key=ca_key),
        ca=ca,
        key=csr.public_key,
        device=device,
        subject=choices.subject,
        validity_days=choices.validity_days,
        now=datetime.fromtimestamp(now, UTC),
    )
    record = recorded(certificate, device=device, issued_by=certificate_id(ca), now=now)
    deployment.ledger.record(record, lease=lease, now=now)
    return record


def _ask_amazon(csr: Csr, device: str, lease: str, now: int, deployment: Deployment) -> Certificate:
    """Amazon signs and registers in one call. Until the ledger knows it, the certificate permits nothing.

    A reply that is lost leaves an active certificate without policy and thing: harmless, and removed by
    ``zymkey-fleet audit``.
    """
    reply = deployment.iot_once.create_certificate_from_csr(certificateSigningRequest=csr.pem, setAsActive=True)
    certificate = x509.load_pem_x509_certificate(reply["certificatePem"].encode())
    record = recorded(certificate, device=device, issued_by=AMAZON, now=now)
    try:
        deployment.ledger.record(record, lease=lease, now=now)
    except LedgerError:
        deployment.iot.update_certificate(certificateId=record.certificate_id, newStatus="INACTIVE")
        raise
    return record


def _ask_elsewhere(csr: Csr, device: str, lease: str, now: int, deployment: Deployment) -> Certificate:
    """Keep the CSR; ``zymkey-fleet sign`` or ``import`` will bring the certificate."""
    deployment.ledger.queue(device, csr=csr.pem, lease=lease, now=now)
    raise NotYet(
        "The CSR waits for a signature by the fleet's CA; the operator sees it with `zymkey-fleet pending`.",
        retry_after=OFFLINE_RETRY_SECONDS,
    )


_ISSUERS: dict[str, Issuer] = {"kms": _sign_in_kms, "aws": _ask_amazon, "external": _ask_elsewhere}
