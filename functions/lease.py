"""The lease under which a request works for one key, alone."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from functions.authorize import KnownKey, TokenClaim
from functions.deployment import Deployment
from functions.log import log
from ledger import Device, LedgerError

# Longer than the function may run (20 s): when a lease has expired, its request can no longer write.
LEASE_SECONDS = 25
# The lease of a device that waits for its turn: of no request.
QUEUED = "queued"


@contextmanager
def lease(
    authorized: KnownKey | TokenClaim,
    *,
    fingerprint: str,
    now: int,
    deployment: Deployment,
    turn: int | None = None,
) -> Iterator[tuple[Device, str]]:
    """Work for one key, alone. Yields the device as the ledger has it now, and the lease's id.

    The lease is given back when the work fails; when it succeeds, ``complete`` has ended it. Work that finds nothing
    to do calls ``give_back``. A function that is killed gives nothing back, and the next request waits for
    ``LEASE_SECONDS`` at most.

    Args:
        turn: the turn that was taken for the device, to be kept until its certificate is done.

    Raises:
        LedgerError: the token is wrong, spent or expired, the device is blocked, or another request of the key is at
            work.
    """
    lease_id = secrets.token_hex(8)
    until = now + LEASE_SECONDS
    ledger = deployment.ledger
    try:
        match authorized:
            case TokenClaim(device=known, token_hash=token_hash):
                device = ledger.claim(
                    known.name,
                    fingerprint=fingerprint,
                    token_hash=token_hash,
                    lease=lease_id,
                    lease_until=until,
                    now=now,
                    turn=turn,
                    known=known,
                )
            case KnownKey(device=known):
                device = ledger.acquire_lease(
                    known.name,
                    fingerprint=fingerprint,
                    lease=lease_id,
                    lease_until=until,
                    now=now,
                    turn=turn,
                    known=known,
                )
        yield device, lease_id
    except BaseException:
        give_back(authorized.name, lease_id, deployment)
        raise


def give_back(name: str, lease_id: str, deployment: Deployment) -> None:
    """End a lease without a result. When AWS does not answer, it expires by itself."""
    try:
        deployment.ledger.release(name, lease=lease_id)
    except (ClientError, BotoCoreError, LedgerError) as error:
        log.warning("could not give the lease back", reason=type(error).__name__)
