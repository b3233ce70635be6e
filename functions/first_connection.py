"""Just-in-time registration: AWS IoT saw a certificate of the fleet's CA for the first time.

The certificate is PENDING_ACTIVATION, the device was disconnected and will try again. If its key may enroll, the
certificate is activated and permitted; otherwise it stays as it is and permits nothing. A repeated event finds the
work done. A lost event is repaired by the device, which uploads its certificate when it is not let in.

Event (AWS IoT Developer Guide, just-in-time registration): certificateId, caCertificateId, certificateStatus,
awsAccountId.
"""

from typing import Any

from botocore.exceptions import ClientError

from functions.adopt import adopt
from functions.authorize import KnownKey
from functions.deployment import Deployment
from functions.log import about, bounded, log
from functions.metrics import Metric, counted, refused
from functions.refusals import Conflict, Forbidden, Refusal
from ledger import Busy, Device, LeaseLost, LedgerError
from ledger.throttling import is_throttling
from pki.fingerprint import is_certificate_id
from pki.names import DEVICE_NAME_RULE, is_device_name
from pki.received_certificate import CertificateError, ReceivedCertificate, read_leaf

_INACTIVE = {"INACTIVE", "REVOKED"}


def admit(event: dict[str, Any], *, admission: str, now: int, deployment: Deployment) -> str:
    """Let a device in, or not. Returns ``admitted``, ``known already``, or why it was left inactive.

    Args:
        admission: the setting ``firstConnection``: ``known-keys``, or ``any`` for every certificate of the fleet's CA.

    Raises:
        Busy, LeaseLost, ClientError, BotoCoreError: not now; Lambda tries the event again.
    """
    certificate_id = event.get("certificateId")
    if not is_certificate_id(certificate_id):
        return "the event names no certificate"  # another try would find the same
    iot = deployment.iot
    try:
        description = iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
    except iot.exceptions.ResourceNotFoundException:
        return "AWS IoT no longer has the certificate"
    if description["status"] in _INACTIVE:
        return f"the certificate is {description['status']} in AWS IoT"
    try:
        leaf = read_leaf(description["certificatePem"].encode())
        about(fingerprint=leaf.fingerprint)
        device = _device(leaf, admission=admission, now=now, deployment=deployment)
        about(device=device.name)
        adopt(leaf, KnownKey(device=device), now=now, deployment=deployment, in_aws_iot=True)
    except Conflict:
        return "known already"
    except (Busy, LeaseLost):
        log.info("another request is at work for this key", **counted(Metric.PENDING))
        raise
    except (Refusal, LedgerError, CertificateError) as error:
        log.info("not let in", reason=bounded(str(error)), **refused(error))
        return str(error)
    except ClientError as error:
        if is_throttling(error):
            log.warning("throttled by AWS", operation=error.operation_name, **counted(Metric.THROTTLED))
        raise
    return "admitted"


def _device(leaf: ReceivedCertificate, *, admission: str, now: int, deployment: Deployment) -> Device:
    """The device of this key; with ``any``, a new one under the certificate's own name."""
    ledger = deployment.ledger
    fingerprint = leaf.fingerprint
    device = ledger.device_of_key(fingerprint)
    if device is None and admission == "any":
        names = [each.text for each in leaf.common_names]
        if len(names) != 1 or not is_device_name(names[0]):
            raise CertificateError(f"The certificate's common name must be the device's name: {DEVICE_NAME_RULE}.")
        if ledger.certificate(names[0], leaf.certificate_id) is not None:
            # Of a device that was removed. AWS IoT, which the daily audit has deleted it from, registers it once more.
            raise Conflict("This certificate was switched off with the device that had it.")
        ledger.allow(names[0], fingerprint=fingerprint, by="first connection", now=now)
        device = ledger.device_of_key(fingerprint)
    if device is None:
        raise Forbidden(f"This key is not allowed yet: zymkey-fleet allow NAME --key {fingerprint}")
    return device
