"""What keeps a key that the ledger knows from another certificate: until tomorrow, or until the operator lets it.

Asked before a turn is taken, so that a device which is refused costs the reads that found it, and nobody's turn.
"""

from datetime import UTC, datetime

from functions.deployment import Deployment
from functions.refusals import ExpiredTooLong
from ledger import DAY, Device, State
from pki.issuers import EXTERNAL


def refuse_beyond_limits(device: Device, *, now: int, deployment: Deployment) -> None:
    """Refuse a device that is to get another certificate, if a limit of the settings says so.

    A device that has begun is let go on: what is signed is completed, and who asked in time waits for a signature.

    Raises:
        ExpiredTooLong: its certificate expired longer ago than ``expiredGraceDays``, and the operator has not asked
            for its renewal.
        DailyLimitReached: it has had ``certificatesPerKeyAndDay`` today. Of a CA outside AWS a person is the limit.
    """
    if device.unfinished is not None or device.csr is not None:
        return
    choices = deployment.choices
    _refuse_expired(device, grace_days=choices.expired_grace_days, now=now)
    if choices.issuer != EXTERNAL:
        deployment.ledger.refuse_over_limit(device, at_most=choices.certificates_per_key_and_day, now=now)


def _refuse_expired(device: Device, *, grace_days: int | None, now: int) -> None:
    if grace_days is None or device.state is not State.ENROLLED or device.not_after is None:
        return
    if device.renew_asked_at is None and device.not_after + grace_days * DAY < now:
        raise ExpiredTooLong(device.name, expired=datetime.fromtimestamp(device.not_after, UTC), grace_days=grace_days)
