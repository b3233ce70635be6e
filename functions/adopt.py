"""A certificate that was signed elsewhere becomes a device's own: checked, recorded, registered, permitted.

However it came: uploaded to the HTTP API, or seen by AWS IoT at a device's first connection. Repeating it is safe.
"""

from datetime import UTC, datetime

from functions import things
from functions.authorize import KnownKey, TokenClaim
from functions.complete import complete
from functions.deployment import Deployment
from functions.lease import lease
from functions.log import log
from functions.record import record_of
from functions.refusals import Conflict
from ledger import Certificate, CertificateState, Device
from pki.fingerprint import certificate_id
from pki.issued_certificate_checks import check_issued_certificate
from pki.received_certificate import CertificateError, ReceivedCertificate

# CAs let a certificate begin before it is signed, some of them at the beginning of the day.
_BACKDATED_SECONDS = 86_400


def adopt(
    leaf: ReceivedCertificate,
    authorized: KnownKey | TokenClaim,
    *,
    now: int,
    deployment: Deployment,
    in_aws_iot: bool = False,
) -> Certificate:
    """Give a device the certificate.

    Args:
        authorized: what is known of the certificate's key; a token is claimed for it.
        in_aws_iot: AWS IoT has it already, waiting to be activated.

    Raises:
        CertificateError: it is not of this fleet's CA, not for this device, not valid now, or older than the device's.
        Conflict: it was given to the device before, or the device's thing is not this fleet's.
        LedgerError: the device is blocked, busy, or its token is wrong, spent or expired.
        ClientError, BotoCoreError: an AWS call failed; the same request again repairs it.
    """
    fingerprint = leaf.fingerprint
    issuer = check_issued_certificate(
        leaf,
        authorities=deployment.choices.ca_certificates,
        public_key_fingerprint=fingerprint,
        device=authorized.name,
        now=datetime.fromtimestamp(now, UTC),
    )
    _refuse_known(leaf, authorized.name, deployment)
    if isinstance(authorized, KnownKey) and not in_aws_iot:
        _refuse_older(leaf, authorized.device, now, deployment)
    certificate = record_of(leaf, device=authorized.name, issued_by=certificate_id(issuer), now=now)
    with lease(authorized, fingerprint=fingerprint, now=now, deployment=deployment) as (device, lease_id):
        things.claim(device, now=now, deployment=deployment)
        if device.unfinished != certificate.certificate_id:
            _abandon_other(device, lease_id, now, deployment)
            deployment.ledger.record_certificate(certificate, lease=lease_id, now=now)
        complete(certificate, device, lease_id, now=now, deployment=deployment, in_aws_iot=in_aws_iot)
    log.info("a certificate that was signed elsewhere is in use", certificate_id=certificate.certificate_id)
    return certificate


def _refuse_known(leaf: ReceivedCertificate, device: str, deployment: Deployment) -> None:
    """A certificate that was finished, superseded or switched off before is not brought back by sending it again."""
    known = deployment.ledger.certificate(device, leaf.certificate_id)
    if known is not None and known.state is not CertificateState.RECORDED:
        # Whoever has seen the certificate can send it: what has become of it since, only the log says.
        raise Conflict(
            "This certificate is already registered: to send it again changes nothing.",
            reason=f"the certificate {known.certificate_id} was registered before, and is {known.state}",
        )


def _refuse_older(leaf: ReceivedCertificate, device: Device, now: int, deployment: Deployment) -> None:
    """An upload proves nothing about who sends it, and a device's certificates can be seen wherever it connects.

    A certificate of another time, which this fleet's CA has signed for the same key and the ledger has never seen,
    may not take the place of the device's own. A first connection (``in_aws_iot``) has proved the key.
    """
    current = deployment.ledger.certificate(device.name, device.certificate_id) if device.certificate_id else None
    if current is None or current.state is not CertificateState.ACTIVE or current.not_after <= now:
        return
    if int(leaf.not_before.timestamp()) < current.not_before - _BACKDATED_SECONDS:
        raise CertificateError("The certificate is older than the one that its device has; have a new one signed.")


def _abandon_other(device: Device, lease_id: str, now: int, deployment: Deployment) -> None:
    if device.unfinished is None:
        return
    other = deployment.ledger.certificate(device.name, device.unfinished)
    if other is not None:
        deployment.ledger.abandon(other, lease=lease_id, now=now)
