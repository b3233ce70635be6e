"""Retries: exponential backoff with full jitter, or Retry-After, until a time limit.

Full jitter as in the AWS Architecture Blog's "Exponential Backoff And Jitter": each wait is random between zero and a
limit that doubles, so that devices that power on together do not ask again together.
"""

import math
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from .errors import Busy, DeviceError, EnrollmentRefused, Queued

FIRST_LIMIT = 1.0
LAST_LIMIT = 60.0
# Where limits grow further with the time that was waited already: who has waited for hours may wait some minutes more,
# and a fleet that a long outage has cut off comes back within these minutes, and not within one.
LONGEST_LIMIT = 900.0
GROWTH = 1 / 4
# A server may send the same Retry-After to every device, so each device adds a random part of it; at most some seconds,
# because the moment may be this device's own all the same, in a queue of hours.
RETRY_AFTER_SPREAD = 0.1
MOST_SPREAD = 10.0
# Bounds of a Retry-After, in seconds. What is below (0, or a date that is past by this machine's clock) must not make a
# device ask without a pause, and nothing that a server sends may put it to sleep for longer than the timer does.
SHORTEST_RETRY_AFTER = 1.0
LONGEST_RETRY_AFTER = 6 * 3600.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Temperament:
    """How long to wait when the cloud is busy and does not say for how long: API Gateway's 429 has no Retry-After.

    Limits of the first wait and of the last, in seconds. Between them they double.
    """

    busy: float
    longest_busy: float
    refused: float = 180.0
    longest_refused: float = 3600.0
    """For whom a refusal is not the end: the operator may let the device in later, and finds it within the hour."""


AT_THE_BENCH = Temperament(busy=2.0, longest_busy=LAST_LIMIT)
"""For a person who looks on."""

UNATTENDED = Temperament(busy=300.0, longest_busy=LONGEST_LIMIT)
"""For a service. Where a million devices are turned away in one minute, waits up to five minutes bring 3,300 of them a
second back, and later ones 1,800 (``benchmarks/herd.py``)."""


class Waits:
    """The waits of one device, one after the other. It decides alone: it sleeps not, and asks nobody.

    A wait that a server asks for is kept, and begins the backoff anew: this server has answered.
    """

    __slots__ = ("_began", "_clock", "_has_turn", "_random", "_temperament", "_tries")

    def __init__(
        self,
        temperament: Temperament = AT_THE_BENCH,
        *,
        random: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            random: gives a number from 0 to 1; it spreads load, and guards nothing.
            clock: gives seconds.
        """
        self._temperament = temperament
        self._random = random
        self._clock = clock
        self._began = clock()
        self._tries = 0
        self._has_turn = False

    def after(self, error: DeviceError, *, lasting: bool = False) -> float:
        """Seconds to wait before the next try. ``lasting``: the error may go away, but hardly within seconds."""
        return self.next(
            retry_after=error.retry_after,
            busy=isinstance(error, Busy),
            own_moment=isinstance(error, Queued),
            refused=isinstance(error, EnrollmentRefused),
            lasting=lasting,
        )

    def next(
        self,
        *,
        retry_after: float | None = None,
        busy: bool = False,
        own_moment: bool = False,
        refused: bool = False,
        lasting: bool = False,
    ) -> float:
        """Seconds to wait before the next try.

        Args:
            retry_after: what the server asked for, in seconds.
            busy: the cloud has answered 429 or 5xx.
            own_moment: no other device was told the same. A turn that is kept seconds late is a registration that AWS
                IoT had room for and nobody asked for.
            refused: the cloud does not let this device in.
            lasting: as for ``after``.
        """
        asked = _bounded(retry_after)
        if asked is not None:
            self._tries = 0
            self._has_turn = self._has_turn or own_moment
            spread = 0.0 if own_moment else min(asked * RETRY_AFTER_SPREAD, MOST_SPREAD)
            return asked + self._random() * spread
        limit = self._limit(busy=busy, refused=refused, lasting=lasting)
        self._tries += 1
        return self._random() * limit

    def _limit(self, *, busy: bool, refused: bool, lasting: bool) -> float:
        waited, temperament = self._clock() - self._began, self._temperament
        longest = max(LAST_LIMIT, min(waited * GROWTH, LONGEST_LIMIT))
        first = FIRST_LIMIT
        if refused:
            first, longest = temperament.refused, temperament.longest_refused
        elif busy or lasting:
            # Those whose turn has come are few, however many wait for theirs, and their turn is passing.
            first = AT_THE_BENCH.busy if self._has_turn and not lasting else temperament.busy
            longest = max(longest, temperament.longest_busy)
        return min(math.ldexp(first, min(self._tries, 32)), longest)


class Deadline:
    """The end of the time that a whole run may take. What has begun before may last as long as one time-out longer."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def left(self, at_most: float = math.inf) -> float:
        """Seconds, never negative."""
        return min(max(0.0, self._end - self._clock()), at_most)

    def put_off(self, seconds: float) -> None:
        """Time in the fleet's queue is not this run's own."""
        self._end += seconds


def retry(
    operation: Callable[[], Result],
    *,
    give_up_after: float,
    on_wait: Callable[[DeviceError, float], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    meanwhile: Callable[[], AbstractContextManager[None]] = nullcontext,
    only: tuple[type[DeviceError], ...] = (DeviceError,),
    temperament: Temperament = AT_THE_BENCH,
    patient_with: tuple[type[DeviceError], ...] = (),
    turn_within: float = 0.0,
) -> Result:
    """Return what ``operation`` returns; try again while its error is transient, and one of ``only``.

    Args:
        give_up_after: in seconds from now. When the next wait, or what the server asked for, would end later, the last
            error is raised at once: who comes before the moment that a server has named is sent away again.
        on_wait: is called with each error and the seconds until the next try.
        meanwhile: is entered for each wait.
        patient_with: errors after which to try again too, with waits as after an answer of a busy cloud.
        turn_within: in seconds from now. A turn in the fleet's queue that comes within them is waited for, although
            that is longer than ``give_up_after``.

    Raises:
        DeviceError: the last error of ``operation``, or one of ``meanwhile``.
    """
    began = clock()
    waits = Waits(temperament, clock=clock)
    while True:
        try:
            return operation()
        except DeviceError as error:
            lasting = isinstance(error, patient_with)
            if not (lasting or (error.transient and isinstance(error, only))):
                raise
            wait = waits.after(error, lasting=lasting)
            patience = max(give_up_after, turn_within) if isinstance(error, Queued) else give_up_after
            if clock() + max(wait, error.retry_after or 0.0) > began + patience:
                raise
            on_wait(error, wait)
            with meanwhile():
                sleep(wait)


def _bounded(retry_after: float | None) -> float | None:
    """Seconds that a server may ask for; None where it asks for nothing that makes sense."""
    if retry_after is None or not retry_after >= SHORTEST_RETRY_AFTER:
        return None
    return min(retry_after, LONGEST_RETRY_AFTER)
