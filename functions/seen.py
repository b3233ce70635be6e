"""A device's new certificate was seen in use: those from before its renewal are switched off at once.

Seen means one of two events, which topic rules bring here (``infra/seen.py``):

- AWS IoT's presence event: a client has connected over MQTT, with this certificate (AWS IoT Developer Guide, lifecycle
  events: ``principalIdentifier`` is the certificate's id for a client that shows one).
- The device's confirmation, after its own publish over HTTPS, and after its programs were told: a message to a topic
  that the IoT policy allows to this one certificate.

The event's name of a device only says where to look: the ledger knows which certificate is whose. A lost event does no
harm: the next connection is another one, a device repeats its confirmation until AWS IoT has taken it, and when the
days of grace are over, the sweep does the same (``functions/superseded.py``).
"""

from typing import Any

from functions.deployment import Deployment
from functions.log import about
from functions.retirement import superseded, switch_off
from pki.fingerprint import is_certificate_id
from pki.names import is_device_name


def seen(event: dict[str, Any], *, now: int, deployment: Deployment) -> str:
    """Switch off what this event is the proof for. Returns what was done, in words.

    Nearly every event is of no interest: each connection of each client in the account comes here. It costs one read.

    Args:
        event: ``device``, a name, and ``certificateId``.
        now: seconds since 1970.

    Raises:
        LedgerError, ClientError, BotoCoreError: not now; Lambda tries the event again.
    """
    name, certificate_id = event.get("device"), event.get("certificateId")
    if not is_certificate_id(certificate_id) or not isinstance(name, str) or not is_device_name(name):
        return "of no device"
    device = deployment.ledger.device(name)
    if device is None or device.certificate_id != certificate_id:
        return "not its device's current certificate"
    if device.superseded is None:
        return "known"
    about(device=name, fingerprint=device.fingerprint)
    old = superseded(device, deployment)
    for each in old:
        switch_off(each, by="seen", now=now, deployment=deployment)
    return f"switched off: {len(old)}"
