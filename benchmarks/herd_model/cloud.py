"""What the fleet's cloud answers, and what it asks of AWS IoT for that.

Whether and how long a device waits for its turn, the functions' own code decides (``ledger.turns``). Of the rest only
what takes time or may fail is modelled; tests/unit/benchmarks/test_herd_cloud.py gives the model and the functions the
same requests and compares what they answer.
"""

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .quota import TokenBucket
from .world import (
    AFTER_REGISTRATION,
    BEFORE_REGISTRATION,
    CALLS_BESIDE_REGISTRATION,
    FUNCTION,
    LEASE_SECONDS,
    ROUND_TRIP,
    SDK_ATTEMPTS,
    Chance,
)

REGISTRATION_BURST = 10
"""Calls of RegisterCertificate at once: a second's worth."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds to wait (Retry-After), and how many devices come first (Zymkey-Place)."""

    retry_after: int
    place: int


class Queue(Protocol):
    """Gives each device its turn."""

    def turn(self, device: int, now: float) -> Turn | None:
        """What the device is told of its turn; None when it has come."""

    def done(self, device: int) -> None:
        """The device has its certificate, and its turn is forgotten."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a device. ``at`` is when it arrives, in seconds. ``place`` is there when it has to wait its turn."""

    device: int
    at: float
    status: int
    retry_after: int | None = None
    place: int | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What this deployment and AWS take. Rates are calls a second.

    Attributes:
        throttled_retry_after: what a 503 asks for when AWS throttled, in seconds.
    """

    api_rate: float
    api_burst: float
    registrations: float
    throttled_retry_after: int


class Cloud:
    """The cloud, from API Gateway to AWS IoT. Time goes on in ``answer_until``."""

    def __init__(self, devices: int, limits: Limits, *, queue: Queue | None, chance: Chance, random: random.Random):
        self.gateway = TokenBucket(rate=limits.api_rate, burst=limits.api_burst)
        self.registered = 0
        self._registrations = TokenBucket(rate=limits.registrations, burst=REGISTRATION_BURST)
        self._limits, self._queue, self._chance, self._random = limits, queue, chance, random
        self._current = bytearray(devices)
        self._lease_until: dict[int, float] = {}
        # When, order, what comes next, which device, which attempt.
        self._work: list[tuple[float, int, int, int]] = []
        self._other_calls_fail = CALLS_BESIDE_REGISTRATION * chance.throttled**SDK_ATTEMPTS

    def next_work(self) -> float | None:
        """When the cloud goes on by itself, in seconds."""
        return self._work[0][0] if self._work else None

    def receive(self, device: int, at: float) -> None:
        """An enrollment request that API Gateway has let through at ``at``."""
        heapq.heappush(self._work, (at, device, _ARRIVED, 0))

    def answer_until(self, end: float, send: Callable[[Answer], None]) -> None:
        """Do what there is to do before ``end``."""
        work = self._work
        while work and work[0][0] < end:
            now, device, what, attempt = heapq.heappop(work)
            answer = self._arrived(device, now) if what == _ARRIVED else self._register(device, now, attempt)
            if answer is not None:
                send(answer)

    def _arrived(self, device: int, now: float) -> Answer | None:
        replied = now + ROUND_TRIP + FUNCTION
        if self._current[device]:
            return Answer(device, replied, 200)
        lease_until = self._lease_until.get(device, 0.0)
        if lease_until > now:
            return Answer(device, replied, 202, max(1, int(lease_until) - int(now)))
        turn = self._queue.turn(device, now) if self._queue is not None else None
        if turn is not None:
            return Answer(device, replied, 202, turn.retry_after, turn.place)
        self._lease_until[device] = math.floor(now) + LEASE_SECONDS
        heapq.heappush(self._work, (now + BEFORE_REGISTRATION, device, _REGISTER, 1))
        return None

    def _register(self, device: int, now: float, attempt: int) -> Answer | None:
        """One attempt of the SDK at RegisterCertificate."""
        if self._random.random() >= self._chance.throttled and self._registrations.take(now):
            del self._lease_until[device]
            self.registered += 1
            if self._random.random() < self._other_calls_fail:
                return self._throttled(device, now)
            self._current[device] = 1
            if self._queue is not None:
                self._queue.done(device)
            return Answer(device, now + AFTER_REGISTRATION + ROUND_TRIP, 200)
        if attempt < SDK_ATTEMPTS:
            wait = self._random.random() * 2 ** (attempt - 1)
            heapq.heappush(self._work, (now + wait, device, _REGISTER, attempt + 1))
            return None
        del self._lease_until[device]
        return self._throttled(device, now)

    def _throttled(self, device: int, now: float) -> Answer:
        return Answer(device, now + ROUND_TRIP, 503, self._limits.throttled_retry_after)


_ARRIVED, _REGISTER = 0, 1
