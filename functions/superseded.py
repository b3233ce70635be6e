"""The daily sweep: after a renewal, the old certificate is switched off once its grace period is over.

Not at the renewal itself: the device may not have received the new certificate yet. Not at the device's next request:
anybody who has seen its CSR can send it again. A device that still uses the old certificate after the grace period is
cut off. It gets the new certificate by asking, for which it needs no certificate.
"""

from botocore.exceptions import BotoCoreError, ClientError

from functions.deployment import Deployment
from functions.expiring import report_expiring
from functions.failures import is_throttling
from functions.log import about, bounded, log
from functions.metrics import Metric, counted
from ledger import Device, LedgerError

DAY = 86_400


class SweepIncomplete(Exception):
    """Some certificates could not be switched off; the others were. Lambda tries again, and so does tomorrow."""


def sweep(*, grace_days: int, now: int, deployment: Deployment) -> list[str]:
    """Deactivate each superseded certificate whose grace period is over. Returns their ids. Repeating it is safe.

    Raises:
        SweepIncomplete: at least one failed; it kept none of the others.
    """
    devices = list(deployment.ledger.devices())
    try:
        report_expiring(devices, now=now, deployment=deployment)
    except (ClientError, BotoCoreError) as error:  # what is to be switched off does not wait for a report
        log.error("could not count the certificates that run out", reason=bounded(str(error)))
    over = [
        device
        for device in devices
        if device.superseded and device.superseded_at and device.superseded_at <= now - grace_days * DAY
    ]
    done, failed = [], 0
    for device in over:
        about(device=device.name, fingerprint=device.fingerprint)
        try:
            done.append(_switch_off(device, now, deployment))
        except (ClientError, BotoCoreError, LedgerError) as error:
            failed += 1
            throttled = counted(Metric.THROTTLED) if is_throttling(error) else {}
            log.error("could not switch off a superseded certificate", reason=bounded(str(error)), **throttled)
    if failed:
        raise SweepIncomplete(f"{failed} of {len(over)} superseded certificates could not be switched off")
    return done


def _switch_off(device: Device, now: int, deployment: Deployment) -> str:
    certificate_id = device.superseded or ""
    try:
        deployment.iot.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")
    except deployment.iot.exceptions.ResourceNotFoundException:
        log.warning("AWS IoT no longer has the superseded certificate", certificate_id=certificate_id)
    deployment.ledger.deactivated(device.name, certificate_id, by="sweep", now=now)
    log.info("switched off a superseded certificate", certificate_id=certificate_id)
    return certificate_id
