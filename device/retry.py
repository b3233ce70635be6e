"""Retries: exponential backoff with full jitter, or Retry-After, until a time limit.

Full jitter as in the AWS Architecture Blog's "Exponential Backoff And Jitter": each wait is random between zero and a
limit that doubles, so that devices that power on together do not ask again together.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from .errors import DeviceError

FIRST_LIMIT = 1.0
LAST_LIMIT = 60.0
# A server sends the same Retry-After to every device, so each device adds a random part of it.
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
    """Return what ``operation`` returns; try again while its error is transient.

    Args:
        give_up_after: in seconds from now. When the next wait would end later, the last error is raised at once.
        on_wait: is called with each error and the seconds until the next try.

    Raises:
        DeviceError: the last error of ``operation``.
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
