"""Enrollment: from a CSR to a certificate that AWS IoT takes. Every step can be repeated.

claim → thing → sign → record the PEM → register → attach → policy → groups → done. Whatever breaks in between, the next
request of the same key goes on from there: what is recorded is registered, what is registered is not registered again.
Two requests at once: the ledger's lease lets one through, the other is told to come back. More devices at once than AWS
IoT registers in a second: each is told its turn, before anything else is done for it.
"""

from cryptography import x509

from functions import things
from functions.authorize import KnownKey, TokenClaim, authorize
from functions.complete import complete
from functions.deployment import Deployment
from functions.issuers import Issuer, issuer_of
from functions.lease import give_back, lease
from functions.limits import refuse_beyond_limits
from functions.log import about, log
from functions.request import Credentials
from functions.turns import await_turn
from ledger import Certificate, CertificateState, Device, State
from pki.csr import Csr
from pki.issuers import EXTERNAL


def enroll(
    csr: Csr, credentials: Credentials | None, *, source: str, now: float, deployment: Deployment
) -> x509.Certificate:
    """Answer a key that asks for a certificate: the one it has while that is fresh, or a new one.

    Args:
        source: where the request came from (``HttpRequest.source``).
        now: seconds since 1970, with a fraction.

    Raises:
        Refusal, LedgerError: an answer other than a certificate.
        ClientError, BotoCoreError: an AWS call failed; the next request repairs it.
    """
    about(fingerprint=csr.fingerprint)
    issuer = issuer_of(deployment)
    issuer.check(csr)
    second = int(now)
    authorized = authorize(
        csr.fingerprint, csr.common_name, credentials, source=source, now=second, deployment=deployment
    )
    about(device=authorized.name)
    certificate = None
    if isinstance(authorized, KnownKey):
        certificate = _fresh(authorized.device, second, deployment)
        if certificate is None:
            issuer.refuse_waiting(csr, authorized.device)
            refuse_beyond_limits(authorized.device, now=second, deployment=deployment)
    if certificate is None:
        turn = await_turn(authorized, fingerprint=csr.fingerprint, now=now, deployment=deployment)
        certificate = _issued(csr, authorized, issuer, turn=turn, now=second, deployment=deployment)
    return x509.load_pem_x509_certificate(certificate.pem.encode())


def _issued(
    csr: Csr,
    authorized: KnownKey | TokenClaim,
    issuer: Issuer,
    *,
    turn: int | None,
    now: int,
    deployment: Deployment,
) -> Certificate:
    """A new certificate, or the one that another request of the key has brought about meanwhile."""
    fingerprint = csr.fingerprint
    with lease(authorized, fingerprint=fingerprint, turn=turn, now=now, deployment=deployment) as (device, lease_id):
        # One that the device had when the ledger was asked who this is has been looked at.
        other = device.certificate_id != authorized.device.certificate_id
        certificate = _fresh(device, now, deployment) if other else None
        if certificate is not None:
            # That request was at work when the ledger was asked who this is, and had ended when the lease was taken.
            give_back(device.name, lease_id, deployment)
            return certificate
        certificate = _unfinished(device, lease_id, issuer, now=now, deployment=deployment)
        if certificate is not None or deployment.choices.issuer != EXTERNAL:
            things.claim(device, now=now, deployment=deployment)
        elif device.csr is None:  # to ask once is enough: while a CSR waits, its device comes again and again
            things.look(device, now=now, deployment=deployment)
        arn = None
        if certificate is None:
            certificate, arn = issuer.issue(csr=csr, device=device, lease=lease_id, now=now)
            log.info("signed and recorded", certificate_id=certificate.certificate_id)
        complete(certificate, device, lease_id, arn=arn, now=now, deployment=deployment)
    return certificate


def _fresh(device: Device, now: int, deployment: Deployment) -> Certificate | None:
    """The certificate that the device has, unless it is due for renewal or the operator has asked for another."""
    if device.state is not State.ENROLLED or device.certificate_id is None or device.renew_asked_at is not None:
        return None
    certificate = deployment.ledger.certificate(device.name, device.certificate_id)
    if certificate is None or certificate.state is not CertificateState.ACTIVE or certificate.is_due(now):
        return None
    log.info("the key has a fresh certificate, and gets it again", certificate_id=certificate.certificate_id)
    return certificate


def _unfinished(
    device: Device, lease_id: str, issuer: Issuer, *, now: int, deployment: Deployment
) -> Certificate | None:
    """The certificate that an earlier request recorded and did not complete, if it is still worth completing."""
    if device.unfinished is None:
        return None
    certificate = deployment.ledger.certificate(device.name, device.unfinished)
    if certificate is None:  # the two are written in one transaction
        raise LookupError(f"The ledger holds no certificate {device.unfinished} of device {device.name!r}.")
    if issuer.has_issued(certificate) and not certificate.is_due(now):
        log.info("going on where an earlier request stopped", certificate_id=certificate.certificate_id)
        return certificate
    # The issuer was switched, the CA retired, or most of the certificate's life is over.
    deployment.ledger.abandon(certificate, lease=lease_id, now=now)
    return None
