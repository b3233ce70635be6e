"""Enrollment: from a CSR to a certificate that AWS IoT takes. Every step can be repeated.

claim → sign → record the PEM → register → thing → policy → done. Whatever breaks in between, the next request of
the same key goes on from there: what is recorded is registered, what is registered is not registered again. Two
requests at once: the ledger's lease lets one through, the other is told to come back.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509

from infra.functions import issuers, registration
from infra.functions.authorize import authorize
from infra.functions.deployment import Deployment
from infra.functions.log import about, log
from infra.functions.refusals import BadRequest
from infra.functions.request import Credentials
from ledger import Blocked, Certificate, CertificateState, Device, LedgerError, State
from pki.csr import Csr

# Longer than the function may run (20 s): a lease that has run out belongs to nobody who could still be writing.
LEASE_SECONDS = 25


def enroll(csr: Csr, credentials: Credentials | None, *, now: int, deployment: Deployment) -> x509.Certificate:
    """Answer a key that asks for a certificate: the one it has while that is fresh, or a new one.

    Args:
        now: seconds since 1970.

    Raises:
        Refusal, LedgerError: an answer other than a certificate.
        ClientError, BotoCoreError: AWS did not do its part; the next request repairs it.
    """
    about(fingerprint=csr.fingerprint)
    if deployment.choices.issuer == "aws" and not csr.common_name:
        # Amazon is handed the CSR as it is, and its subject decides which topics the device may use over HTTPS.
        raise BadRequest("The CSR has no common name; with Amazon's CA it must be the device's name.")
    device = authorize(csr.fingerprint, csr.common_name, credentials, now=now, deployment=deployment)
    about(device=device.name)
    if device.state is State.ENROLLED and (current := _fresh(device, now, deployment)):
        log.info("the key has a fresh certificate, and gets it again", certificate_id=current.certificate_id)
        return x509.load_pem_x509_certificate(current.pem.encode())
    with lease(device, credentials, fingerprint=csr.fingerprint, now=now, deployment=deployment) as (held, mine):
        certificate = unfinished(held, mine, now=now, deployment=deployment)
        if certificate is None:
            certificate = issuers.issue(csr, held.name, mine, now, deployment)
            log.info("signed and recorded", certificate_id=certificate.certificate_id)
        finish(certificate, mine, now=now, deployment=deployment)
    return x509.load_pem_x509_certificate(certificate.pem.encode())


@contextmanager
def lease(
    device: Device, credentials: Credentials | None, *, fingerprint: str, now: int, deployment: Deployment
) -> Iterator[tuple[Device, str]]:
    """Work for one key, alone. Yields the device as the ledger has it now, and the lease's id.

    The lease is given back when the work fails; when it succeeds, ``finish`` has ended it. A function that is
    killed gives nothing back, and the next request waits for ``LEASE_SECONDS`` at most.
    """
    mine = secrets.token_hex(8)
    until = now + LEASE_SECONDS
    ledger = deployment.ledger
    try:
        if device.fingerprint is None and credentials is not None:
            held = ledger.claim(
                device.name,
                fingerprint=fingerprint,
                token_hash=credentials.token_hash,
                lease=mine,
                lease_until=until,
                now=now,
            )
        else:
            held = ledger.begin(device.name, fingerprint=fingerprint, lease=mine, lease_until=until, now=now)
        yield held, mine
    except BaseException:
        _give_back(device.name, mine, deployment)
        raise


def unfinished(device: Device, lease: str, *, now: int, deployment: Deployment) -> Certificate | None:
    """The certificate that an earlier request recorded and did not finish, if it is still worth finishing."""
    if device.unfinished is None:
        return None
    certificate = deployment.ledger.certificate(device.name, device.unfinished)
    if certificate is None:  # the two are written in one transaction
        raise LookupError(f"The ledger holds no certificate {device.unfinished} of device {device.name!r}.")
    choices = deployment.choices
    ours = (
        certificate.issued_by == issuers.AMAZON
        if choices.issuer == "aws"
        else choices.ca_certificate(certificate.issued_by)
    )
    if ours and not certificate.is_due(now):
        log.info("going on where an earlier request stopped", certificate_id=certificate.certificate_id)
        return certificate
    # The issuer was switched, the CA retired, or most of the certificate's life is over.
    deployment.ledger.abandon(certificate, lease=lease, now=now)
    return None


def finish(certificate: Certificate, lease: str, *, now: int, deployment: Deployment, in_aws_iot: bool = False) -> None:
    """Register and permit a recorded certificate, and make it the device's own.

    Args:
        in_aws_iot: AWS IoT is known to have it already, so it is at most to be activated.
    """
    iot, choices = deployment.iot, deployment.choices
    if in_aws_iot or certificate.issued_by == issuers.AMAZON:
        arn = registration.activate(certificate.certificate_id, iot=iot)
    else:
        ca = choices.ca_certificate(certificate.issued_by)
        if ca is None:
            raise LookupError(f"This deployment has no CA certificate {certificate.issued_by}.")
        arn = registration.register(certificate, ca=ca, iot=iot)
    registration.permit(arn, device=certificate.device, policy=choices.iot_policy, iot=iot)
    try:
        deployment.ledger.finish(certificate, lease=lease, now=now)
    except Blocked:
        # The operator was faster than we were: what we have just switched on goes off again.
        iot.update_certificate(certificateId=certificate.certificate_id, newStatus="INACTIVE")
        raise
    log.info("registered, attached and permitted", certificate_id=certificate.certificate_id)


def _fresh(device: Device, now: int, deployment: Deployment) -> Certificate | None:
    if device.certificate_id is None:
        return None
    certificate = deployment.ledger.certificate(device.name, device.certificate_id)
    usable = certificate is not None and certificate.state is CertificateState.ACTIVE and not certificate.is_due(now)
    return certificate if usable else None


def _give_back(name: str, lease: str, deployment: Deployment) -> None:
    try:
        deployment.ledger.release(name, lease=lease)
    except (ClientError, BotoCoreError, LedgerError) as error:
        # It runs out by itself.
        log.warning("could not give the lease back", reason=type(error).__name__)
