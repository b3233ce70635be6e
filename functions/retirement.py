"""The certificates from before a renewal are switched off: when the new one was seen, and at the latest by the sweep.

A device that is asked to renew again before its last renewal was seen has several of them, and may use any.
"""

from __future__ import annotations

from functions.deployment import Deployment
from functions.log import log
from ledger import Busy, Certificate, CertificateState, Device, WrongState


def superseded(device: Device, deployment: Deployment, *, until: int | None = None) -> list[Certificate]:
    """The device's certificates that a renewal has superseded and that AWS IoT still accepts.

    The one that the device's item names comes last: while it does, whatever is interrupted is found again.

    Args:
        until: only those that were superseded by then; seconds since 1970.

    Raises:
        WrongState: the ledger holds no certificate that the device's item names.
    """
    found = [
        each
        for each in deployment.ledger.certificates(device.name)
        if each.certificate_id == device.superseded
        or (each.state is CertificateState.SUPERSEDED and (until is None or each.updated_at <= until))
    ]
    if device.superseded is not None and device.superseded not in {each.certificate_id for each in found}:
        raise WrongState(f"The ledger holds no certificate {device.superseded} of device {device.name!r}.")
    return sorted(found, key=lambda each: each.certificate_id == device.superseded)


def switch_off(certificate: Certificate, *, by: str, now: int, deployment: Deployment) -> None:
    """Make a certificate INACTIVE in AWS IoT, and tell the ledger. Doing it twice is doing it once.

    Calls iot:UpdateCertificate.

    Args:
        by: who says so, for the device's history.
        now: seconds since 1970.

    Raises:
        LedgerError, ClientError, BotoCoreError: not now; the same again later does it.
    """
    iot, ledger = deployment.iot, deployment.ledger
    # Not by ``about``: the sweep's threads have one logger.
    subject = {
        "device": certificate.device,
        "fingerprint": certificate.fingerprint,
        "certificate_id": certificate.certificate_id,
    }
    try:
        iot.update_certificate(certificateId=certificate.certificate_id, newStatus="INACTIVE")
    except iot.exceptions.ResourceNotFoundException:
        log.warning("AWS IoT no longer has the superseded certificate", **subject)
    try:
        ledger.deactivated(certificate.device, certificate.certificate_id, by=by, now=now)
    except Busy:  # somebody else was at it, who may have told the ledger
        ledger.deactivated(certificate.device, certificate.certificate_id, by=by, now=now)
    log.info("switched off a superseded certificate", by=by, **subject)
