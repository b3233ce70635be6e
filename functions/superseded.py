"""The sweep: after a renewal, the old certificate is switched off once its grace period is over.

Earlier, as soon as the new one was seen in use (``functions/seen.py``). Not at the renewal itself: the device may not
have received the new certificate yet. Not at the device's next request: anybody who has seen its CSR can send it again.
A device that still uses the old certificate after the grace period is cut off. It gets the new certificate by asking,
for which it needs no certificate.

It runs every hour, since a run has its 15 minutes and AWS IoT its quota: so many devices as renew in an hour, from a
fleet whose million renewals fall into one month (1,400 on average), take three minutes of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import takewhile

from botocore.exceptions import BotoCoreError, ClientError

from functions.deployment import Deployment
from functions.expiring import report_expiring
from functions.log import bounded, log
from functions.metrics import Metric, counted
from functions.retirement import superseded, switch_off
from ledger import Device, DeviceFilter, LedgerError
from ledger.throttling import is_throttling

DAY = 86_400

# UpdateCertificate's quota is 10 a second, for the account and Region. Operators block devices by it, too.
_A_SECOND = 8.0
# One takes 0.1 to 0.2 s: two calls to each of AWS IoT and DynamoDB.
_AT_ONCE = 4
# Before the function's end: for those that are in work, whose calls may be tried three times; then for counting.
_TO_FINISH_SECONDS = 60.0
_TO_COUNT_SECONDS = 20.0


class SweepIncomplete(Exception):
    """Some certificates could not be switched off; the others were. Lambda tries again, and so does the next run."""


def sweep(
    *,
    grace_days: int,
    now: int,
    deployment: Deployment,
    reports: bool = True,
    remaining: Callable[[], float] = lambda: 900.0,
) -> list[str]:
    """Deactivate each superseded certificate whose grace period is over. Returns their ids.

    Repeating it is safe, also beside itself: each step of it done twice is done once. What the time does not suffice
    for is in the ledger as before, and the next run's.

    Args:
        reports: whether to report the certificates that run out.
        remaining: the seconds that this run has left.

    Raises:
        SweepIncomplete: at least one failed; it kept none of the others.
    """
    if reports:
        try:
            report_expiring(now=now, deployment=deployment)
        except (ClientError, BotoCoreError, LedgerError) as error:  # what is to be switched off does not wait for it
            log.error("could not count the certificates that run out", reason=bounded(str(error)))
    until = now - grace_days * DAY
    over = deployment.ledger.devices(DeviceFilter(superseded_by=until))
    done, failed = [], 0
    for switched_off in _side_by_side(over, until, now, deployment, remaining):
        if switched_off is None:
            failed += 1
        else:
            done += switched_off
    left = sum(1 for _ in takewhile(lambda _: remaining() > _TO_COUNT_SECONDS, over))
    if left:
        log.warning("no time for all superseded certificates: the next run goes on", done=len(done), left_at_least=left)
    if failed:
        raise SweepIncomplete(f"the superseded certificates of {failed} devices could not be switched off")
    return done


def _side_by_side(
    devices: Iterator[Device], until: int, now: int, deployment: Deployment, remaining: Callable[[], float]
) -> Iterator[list[str] | None]:
    """The ids that were switched off, device by device; None where one could not be. Some at a time, until the time is
    up."""
    pace = _Pace(_A_SECOND)
    window: deque[Future[list[str] | None]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while remaining() > _TO_FINISH_SECONDS and (device := next(devices, None)) is not None:
            pace.wait()
            window.append(pool.submit(_try_to_switch_off, device, until, now, deployment))
            if len(window) > _AT_ONCE:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()


def _try_to_switch_off(device: Device, until: int, now: int, deployment: Deployment) -> list[str] | None:
    done = []
    try:
        for each in superseded(device, deployment, until=until):
            switch_off(each, by="sweep", now=now, deployment=deployment)
            done.append(each.certificate_id)
    except (ClientError, BotoCoreError, LedgerError) as error:
        throttled = counted(Metric.THROTTLED) if is_throttling(error) else {}
        subject = {"device": device.name, "fingerprint": device.fingerprint}
        log.error("could not switch off a superseded certificate", reason=bounded(str(error)), **subject, **throttled)
        return None
    return done


class _Pace:
    """So many a second, and no more at once after a pause."""

    def __init__(self, a_second: float) -> None:
        self._seconds = 1 / a_second
        self._next = 0.0

    def wait(self) -> None:
        now = time.monotonic()
        self._next = max(self._next, now) + self._seconds
        time.sleep(self._next - self._seconds - now)
