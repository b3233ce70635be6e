"""Retries: exponential backoff with full jitter, or Retry-After, until a time limit.

Full jitter as in the AWS Architecture Blog's "Exponential Backoff And Jitter": each wait is random between zero and a
limit that doubles, so that devices that power on together do not ask again together.
"""

import math
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from .errors import DeviceError

FIRST_LIMIT = 1.0
LAST_LIMIT = 60.0
# A server sends the same Retry-After to every device, so each device adds a random part of it.
RETRY_AFTER_SPREAD = 0.1
# Bounds of a Retry-After, in seconds. What is below (0, or a date that is past by this machine's clock) must not make a
# device ask without a pause, and nothing that a server sends may put it to sleep for longer than the timer does.
SHORTEST_RETRY_AFTER = 1.0
LONGEST_RETRY_AFTER = 6 * 3600.0

Result = TypeVar("Result")


class Deadline:
    """The end of the time that a whole run may take. What has begun before may last as long as one time-out longer."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def left(self, at_most: float = math.inf) -> float:
        """Seconds, never negative."""
        return min(max(0.0, self._end - self._clock()), at_most)


def retry(
    operation: Callable[[], Result],
    *,
    give_up_after: float,
    on_wait: Callable[[DeviceError, float], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    meanwhile: Callable[[], AbstractContextManager[None]] = nullcontext,
    only: tuple[type[DeviceError], ...] = (DeviceError,),
) -> Result:
    """Return what ``operation`` returns; try again while its error is transient, and one of ``only``.

    Args:
        give_up_after: in seconds from now. When the next wait would end later, the last error is raised at once.
        on_wait: is called with each error and the seconds until the next try.
        meanwhile: is entered for each wait.

    Raises:
        DeviceError: the last error of ``operation``, or one of ``meanwhile``.
    """
    deadline = clock() + give_up_after
    limit = FIRST_LIMIT
    while True:
        try:
            return operation()
        except DeviceError as error:
            if not (error.transient and isinstance(error, only)):
                raise
            asked = _bounded(error.retry_after)
            if asked is None:
                wait = random.uniform(0, limit)  # noqa: S311 - spreads load, guards nothing
                limit = min(limit * 2, LAST_LIMIT)
            else:
                wait = asked * (1 + random.uniform(0, RETRY_AFTER_SPREAD))  # noqa: S311
            if clock() + wait > deadline:
                raise
            on_wait(error, wait)
            with meanwhile():
                sleep(wait)


def _bounded(retry_after: float | None) -> float | None:
    """Seconds that a server may ask for; None where it asks for nothing that makes sense."""
    if retry_after is None or not retry_after >= SHORTEST_RETRY_AFTER:
        return None
    return min(retry_after, LONGEST_RETRY_AFTER)
