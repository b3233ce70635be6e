"""Trying again: exponential backoff with full jitter, Retry-After honoured, and an end to it.

Full jitter as in the AWS Architecture Blog's "Exponential Backoff And Jitter": each wait is uniform between
nothing and a limit that doubles, so that a fleet that powers on together does not come back together.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from .errors import DeviceError

FIRST_LIMIT = 1.0
LAST_LIMIT = 60.0
# A server that says when to come back says it to everyone, so a little is added to spread them.
RETRY_AFTER_SPREAD = 0.1

Result = TypeVar("Result")


def retry(
    operation: Callable[[], Result],
    *,
    give_up_after: float,
    on_wait: Callable[[DeviceError, float], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Return what `operation` returns, trying again while its error is transient.

    `give_up_after` is in seconds from now; when the next wait would end later than that, the last error is
    raised at once rather than slept on. `on_wait` hears each error and the seconds until the next try.
    """
    deadline = clock() + give_up_after
    limit = FIRST_LIMIT
    while True:
        try:
            return operation()
        except DeviceError as error:
            if not error.transient:
                raise
            if error.retry_after is None:
                wait = random.uniform(0, limit)  # noqa: S311 - spreads load, guards nothing
                limit = min(limit * 2, LAST_LIMIT)
            else:
                spread = random.uniform(0, RETRY_AFTER_SPREAD)  # noqa: S311
                wait = error.retry_after * (1 + spread)
            if clock() + wait > deadline:
                raise
            on_wait(error, wait)
            sleep(wait)
