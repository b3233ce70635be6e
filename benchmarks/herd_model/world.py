"""What devices and cloud share in the model: figures of the network and of AWS, and how often things go wrong."""

from dataclasses import dataclass

from .agenda import TICK

ROUND_TRIP = 0.3
"""Seconds of a request that API Gateway refuses: DNS, TCP and TLS from a Pi, and the answer."""
FUNCTION = 0.2
"""Seconds more when the function answers without issuing: a start that is not cold, two reads, one write."""
BEFORE_REGISTRATION = 0.3
"""Seconds from the function's start to RegisterCertificate: reads, claim, CreateThing, signature, record."""
AFTER_REGISTRATION = 0.3
"""Seconds from there to the answer: two attachments and the last write."""
CALLS_BESIDE_REGISTRATION = 8
"""Other calls of AWS in one enrollment that may be throttled."""
LEASE_SECONDS = 25
"""``functions.lease.LEASE_SECONDS``; a test holds the two together."""
SDK_ATTEMPTS = 3
"""Of one call (``functions.deployment``); before each further one the SDK's standard mode waits a random part of 1 s,
then of 2 s."""
CLIENT_TIMEOUT = 20.0
"""Seconds after which a device takes a request for lost (``device.https.TIMEOUT``)."""

assert ROUND_TRIP >= TICK


@dataclass(frozen=True, kw_only=True)
class Chance:
    """How often things go wrong, as parts of one."""

    throttled: float = 0.03
    """Calls that AWS throttles although the quota has room."""
    lost: float = 0.001
    """Answers that do not reach their device, those of API Gateway too."""
