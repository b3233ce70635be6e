"""Upload of a finished certificate: one that the fleet's CA signed elsewhere, for a key that may enroll.

The CA's signature is the proof that counts here; whose key it is, the ledger or a token says.
"""

from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from infra.functions.authorize import authorize
from infra.functions.deployment import Deployment
from infra.functions.enroll import finish, lease
from infra.functions.issuers import recorded
from infra.functions.log import about, log
from infra.functions.refusals import Conflict
from infra.functions.request import Credentials
from ledger import CertificateState, Device
from pki.fingerprint import certificate_id, key_fingerprint
from pki.issued_certificate_checks import check_issued_certificate, read_leaf


def upload(body: bytes, credentials: Credentials | None, *, now: int, deployment: Deployment) -> dict[str, Any]:
    """Register a certificate, as PEM: the leaf alone, or the leaf with its chain.

    Repeating an upload whose reply was lost is answered with a ``Conflict`` that says so.

    Raises:
        Refusal, LedgerError, CertificateError: why not.
        ClientError, BotoCoreError: AWS did not do its part; the same upload again repairs it.
    """
    leaf = read_leaf(body)
    fingerprint = key_fingerprint(leaf.public_key())
    about(fingerprint=fingerprint)
    device = authorize(fingerprint, "", credentials, now=now, deployment=deployment)
    about(device=device.name)
    issuer = check_issued_certificate(
        leaf,
        authorities=deployment.choices.ca_certificates,
        public_key_fingerprint=fingerprint,
        device=device.name,
        now=datetime.fromtimestamp(now, UTC),
    )
    _refuse_known(leaf, device, deployment)
    record = recorded(leaf, device=device.name, issued_by=certificate_id(issuer), now=now)
    with lease(device, credentials, fingerprint=fingerprint, now=now, deployment=deployment) as (held, mine):
        if held.unfinished != record.certificate_id:
            _abandon_other(held, mine, now, deployment)
            deployment.ledger.record(record, lease=mine, now=now)
        finish(record, mine, now=now, deployment=deployment)
    log.info("a certificate that was signed elsewhere is registered", certificate_id=record.certificate_id)
    return {"device": record.device, "certificateId": record.certificate_id, "notAfter": record.not_after}


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
