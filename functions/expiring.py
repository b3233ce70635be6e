"""Which devices have not renewed: counted once a day, months before anybody would notice on the devices."""

from collections.abc import Iterable

from functions.deployment import Deployment
from functions.log import log
from functions.metrics import Metric, measured
from ledger import Device, State

_DAY = 86_400
SOON = 30 * _DAY
_MOST_NAMED = 50


def report_expiring(devices: Iterable[Device], *, now: int, deployment: Deployment) -> None:
    """Log how many devices will lose, or have lost, their access, and the names of some that will.

    It is logged also when there are none: that the line is missing means that the sweep has not run.
    """
    enrolled = [each for each in devices if each.state is State.ENROLLED and each.not_after is not None]
    expired = [each for each in enrolled if (each.not_after or 0) <= now]
    soon = [each for each in enrolled if now < (each.not_after or 0) <= now + SOON]
    late = [each.name for each in soon if _is_late(each, now, deployment)]
    log.info(
        "certificates that run out",
        expiring=late[:_MOST_NAMED],
        **measured({Metric.EXPIRING: len(late), Metric.EXPIRED: len(expired)}),
    )


def _is_late(device: Device, now: int, deployment: Deployment) -> bool:
    """Whether five sixths of the certificate's life are over.

    A device renews when between two thirds and three quarters are over, so a certificate of a year that has 30 days
    left is late, and one that was made for a month is not.
    """
    certificate = deployment.ledger.certificate(device.name, device.certificate_id or "")
    if certificate is None:
        return True
    return now >= certificate.not_after - (certificate.not_after - certificate.not_before) // 6
