"""As many calls a second as AWS permits, and no more: what comes sooner would be throttled, and take longer."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.arguments import positive


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What AWS IoT does in a second, for an account in a Region.

    Source: AWS General Reference, AWS IoT Core endpoints and quotas, control plane API throttling.

    Attributes:
        operations: which have it, each its own.
        what: is done by them, for ``--help``.
    """

    operations: Sequence[str]
    what: str
    per_second: int = 10


UPDATE_CERTIFICATE = Quota(operations=["UpdateCertificate"], what="certificates that are switched")
# Each certificate is described and deleted once, and each thing asked for its principals.
DELETE_CERTIFICATE = Quota(
    operations=["DeleteCertificate", "DescribeCertificate", "ListPrincipalThings", "ListThingPrincipals"],
    what="certificates that are deleted",
)
# Half of the inbound publish requests that AWS IoT takes from an account in its smaller Regions (2,000; 20,000 in the
# others; same source, message broker quotas): the rest is the devices' own.
PUBLISH_PER_SECOND = 1_000


def add_rate(parser: argparse.ArgumentParser, quota: Quota = UPDATE_CERTIFICATE) -> None:
    parser.add_argument(
        "--rate",
        metavar="N",
        type=positive,
        default=quota.per_second,
        help=f"{quota.what} in a second, at most: AWS's quota for iot:{quota.operations[0]}, of the "
        "account in this Region (default: %(default)s; more where AWS has raised it)",
    )


class Pace:
    """Hands out moments, evenly apart, to threads that wait for theirs. The first one is now.

    Args:
        per_second: moments in a second.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._apart = 1 / per_second
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = clock()

    def wait(self) -> None:
        """Return at this caller's moment."""
        with self._lock:
            now = self._clock()
            moment = max(now, self._next)
            self._next = moment + self._apart
        if moment > now:
            self._sleep(moment - now)


def keep_pace(client: Any, operation: str, per_second: float) -> None:
    """Slow down a boto3 client's calls of one operation, those that it repeats included.

    Before each request is signed: a signature is as old as its request then, however long that waited.
    """
    pace = Pace(per_second)
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(f"request-created.{service}.{operation}", lambda **_: pace.wait())
