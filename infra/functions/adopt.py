"""A certificate that was signed elsewhere becomes a device's own: checked, recorded, registered, permitted.

However it came: uploaded to the HTTP API, or seen by AWS IoT at a device's first connection. Repeating it is safe.
"""

from datetime import UTC, datetime

from cryptography import x509

from infra.functions.deployment import Deployment
from infra.functions.enroll import finish, lease
from infra.functions.issuers import recorded
from infra.functions.log import log
from infra.functions.refusals import Conflict
from infra.functions.request import Credentials
from ledger import Certificate, CertificateState, Device
from pki.fingerprint import certificate_id, key_fingerprint
from pki.issued_certificate_checks import check_issued_certificate


def adopt(
    leaf: x509.Certificate,
    device: Device,
    credentials: Credentials | None,
    *,
    now: int,
    deployment: Deployment,
    in_aws_iot: bool = False,
) -> Certificate:
    """Give a device the certificate.

    Args:
        device: from ``authorize``; without a fingerprint, its token is claimed for the certificate's key.
        in_aws_iot: AWS IoT has it already, waiting to be activated.

    Raises:
        CertificateError: it is not of this fleet's CA, not for this device, or not valid now.
        Conflict: it was given to the device before.
        LedgerError: the device is blocked, busy, or its token is not good.
        ClientError, BotoCoreError: AWS did not do its part; the same again repairs it.
    """
    fingerprint = key_fingerprint(leaf.public_key())
    issuer = check_issued_certificate(
        leaf,
        authorities=deployment.choices.ca_certificates,
        public_key_fingerprint=fingerprint,
        device=device.name,
        now=datetime.fromtimestamp(now, UTC),
    )
    _refuse_known(leaf, device, deployment)
    certificate = recorded(leaf, device=device.name, issued_by=certificate_id(issuer), now=now)
    with lease(device, credentials, fingerprint=fingerprint, now=now, deployment=deployment) as (held, mine):
        if held.unfinished != certificate.certificate_id:
            _abandon_other(held, mine, now, deployment)
            deployment.ledger.record(certificate, lease=mine, now=now)
        finish(certificate, mine, now=now, deployment=deployment, in_aws_iot=in_aws_iot)
    log.info("a certificate that was signed elsewhere is in use", certificate_id=certificate.certificate_id)
    return certificate


def _refuse_known(leaf: x509.Certificate, device: Device, deployment: Deployment) -> None:
    """A certificate that was finished, superseded or switched off before is not brought back by sending it again."""
    known = deployment.ledger.certificate(device.name, certificate_id(leaf))
    if known is None or known.state is CertificateState.RECORDED:
        return
    if known.state is CertificateState.ACTIVE:
        raise Conflict(f"This certificate is already registered, as the one of device {device.name!r}.")
    raise Conflict(f"This certificate was already registered for device {device.name!r}, and is {known.state} now.")


def _abandon_other(held: Device, lease: str, now: int, deployment: Deployment) -> None:
    if held.unfinished is None:
        return
    other = deployment.ledger.certificate(held.name, held.unfinished)
    if other is not None:
        deployment.ledger.abandon(other, lease=lease, now=now)
