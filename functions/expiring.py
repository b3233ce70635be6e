"""Which devices have not renewed: counted once a day, months before anybody would notice on the devices."""

from collections.abc import Iterator

from functions.deployment import Deployment
from functions.log import log
from functions.metrics import Metric, measured
from ledger import Device, DeviceFilter, State

_DAY = 86_400
SOON = 30 * _DAY
_MOST_NAMED = 50


def report_expiring(*, now: int, deployment: Deployment) -> None:
    """Log how many devices will lose, or have lost, their access, and the names of some that will.

    It is logged also when there are none: that the line is missing means that the sweep has not run.
    """
    expiring, expired = 0, 0
    named: list[str] = []

    def soon() -> Iterator[Device]:
        nonlocal expired
        for device in deployment.ledger.devices(DeviceFilter(states=[State.ENROLLED], expires_by=now + SOON)):
            if (device.not_after or 0) <= now:
                expired += 1
            else:
                yield device

    for device, not_before in deployment.ledger.with_beginning(soon()):
        if _is_late(device, not_before, now):
            expiring += 1
            if len(named) < _MOST_NAMED:
                named.append(device.name)
    log.info(
        "certificates that run out",
        expiring=named,
        **measured({Metric.EXPIRING: expiring, Metric.EXPIRED: expired}),
    )


def _is_late(device: Device, not_before: int | None, now: int) -> bool:
    """Whether five sixths of the certificate's life are over.

    A device renews when between two thirds and three quarters are over, so a certificate of a year that has 30 days
    left is late, and one that was made for a month is not.
    """
    if not_before is None or device.not_after is None:
        return True
    return now >= device.not_after - (device.not_after - not_before) // 6
