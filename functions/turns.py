"""Whose turn it is to be registered, when more devices ask than AWS IoT registers in a second.

Without turns they would all come again and again, and chance would decide. With them a device is told its moment, and
comes back then. Only a device that may enroll gets one, so a stranger can neither take a turn nor learn of the queue.
"""

from datetime import UTC, datetime

from functions.authorize import KnownKey, TokenClaim
from functions.deployment import Deployment
from functions.lease import QUEUED
from functions.refusals import Queued
from ledger import Turns
from pki.issuers import AMAZON, EXTERNAL, KMS

# Registrations a second, in one account and Region (AWS General Reference, AWS IoT Core quotas): RegisterCertificate,
# and CreateCertificateFromCsr. AWS raises them on request.
QUOTAS = {KMS: 10, AMAZON: 15}


def await_turn(
    authorized: KnownKey | TokenClaim, *, fingerprint: str, now: float, deployment: Deployment
) -> int | None:
    """Return when the device may be registered now, and refuse it while it has to wait.

    One write in calm time. A known key that comes before its turn costs none.

    Args:
        now: seconds since 1970, with a fraction.

    Returns:
        The turn that was taken, to be kept with the lease; None when the device goes on with what it has.

    Raises:
        Queued: its turn has not come. The turn is kept, and a token is the key's own from now on.
        LedgerError: the token is wrong, spent or expired, or the device has changed meanwhile.
        ClientError, BotoCoreError: an AWS call failed; a turn may be wasted, and nothing else is lost.
    """
    if deployment.choices.issuer == EXTERNAL:
        return None  # nothing is registered before a person has signed
    turns = turns_of(deployment)
    moment = int(now * 1_000)
    device = authorized.device if isinstance(authorized, KnownKey) else None
    if device is not None and device.unfinished is not None:
        return None  # its turn has been
    if device is not None and device.turn is not None and not turns.is_lost(device.turn, moment):
        if turns.has_come(device.turn, moment):
            return None
        raise _queued(turns, device.turn, moment)
    ledger = deployment.ledger
    turn = ledger.take_turn(turns, now=moment)
    if turns.has_come(turn, moment):
        return turn
    match authorized:
        case KnownKey(device=known):
            ledger.keep_turn(known, turn)
        case TokenClaim(device=known, token_hash=token_hash):
            ledger.claim(
                known.name,
                fingerprint=fingerprint,
                token_hash=token_hash,
                lease=QUEUED,
                lease_until=0,
                now=int(now),
                turn=turn,
                known=known,
            )
    raise _queued(turns, turn, moment)


def turns_of(deployment: Deployment) -> Turns:
    """What the deployment's settings say, or else AWS's own quota."""
    choices = deployment.choices
    return Turns(per_second=choices.registrations_per_second or QUOTAS[choices.issuer])


def _queued(turns: Turns, turn: int, moment: int) -> Queued:
    return Queued(
        at=datetime.fromtimestamp(turn // 1_000, UTC),
        place=turns.place(turn, moment),
        retry_after=turns.wait(turn, moment),
        per_second=turns.per_second,
    )
