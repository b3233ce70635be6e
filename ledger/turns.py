"""Turns: when AWS IoT can register no more at once, each device gets a moment of its own, first come first served.

A fleet that powers on together asks for more registrations than AWS IoT does in a second. So there is one counter, the
moment of the next free turn: whoever takes a turn moves it on by the time of one registration. In calm time it is past,
and a device's turn has come as soon as it is taken. Turns are taken one after another and never given back: a device
that does not come has wasted its own, and a request that breaks after it took a turn wastes one.

``Turns`` decides, and touches nothing. ``TurnCounter`` is the same decision as conditional writes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.changes import Changes
from ledger.dynamodb import ConditionFailed, Table, Write
from ledger.errors import Busy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# In milliseconds. So much before its turn a device is let in: a second's turns may come at once, as AWS's quota counts
# them, a device that keeps its moment by its own clock is not sent away, and the clocks of two Lambda instances differ.
EARLY = 1_000
# A device that is later than this has lost its turn. Shorter than the queue of a large fleet: when the power comes back
# after an hour, the turns that were slept through are handed out again, and not all used at once.
LATE = 3_600_000

# Turns are handed out a hundredth slower than AWS IoT registers. At its whole rate those who once came late are never
# caught up with: they and those whose turn has come keep each other out, and ask again and again (benchmarks/herd.py:
# 16.8 requests a device at the whole rate, for a million of them, and 7.2 so).
SHARE = 0.99

_TURNS = ("turns", "turns")
_MOST_TRIES = 4


@dataclass(frozen=True, kw_only=True)
class Turns:
    """The decisions. Moments are whole milliseconds since 1970; the counter is in microseconds.

    Attributes:
        per_second: how many registrations AWS IoT takes in a second.
    """

    per_second: int

    @property
    def interval(self) -> int:
        """From one turn to the next, in microseconds."""
        return math.ceil(1_000_000 / (self.per_second * SHARE))

    def take(self, counter: int | None, now: int) -> tuple[int, int]:
        """The next free turn, and the counter after it has been taken.

        Args:
            counter: None before the first turn of all.
        """
        at = max(counter or 0, now * 1_000)
        return at // 1_000, at + self.interval

    @staticmethod
    def has_come(turn: int, now: int) -> bool:
        """Whether a device is let in."""
        return turn <= now + EARLY

    @staticmethod
    def is_lost(turn: int, now: int) -> bool:
        """Whether a device has to take a new turn, since it is too late for this one."""
        return turn + LATE < now

    def place(self, turn: int, now: int) -> int:
        """How many come first: as many as AWS IoT registers until then."""
        return max(0, round((turn - now) * 1_000 / self.interval))

    @staticmethod
    def wait(turn: int, now: int) -> int:
        """Whole seconds until a turn, and at least one, for Retry-After."""
        return max(1, -(-(turn - now) // 1_000))


class TurnCounter(Changes):
    """The counter: one item, moved by conditional writes, since a transaction would refuse those that come together.

    One item takes 1,000 writes a second, refused conditions included (DynamoDB Developer Guide, best practices for
    partition keys): twice as many as API Gateway lets requests through, of which a device's first one takes a turn.
    """

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        super().__init__(client=client, table=table)
        # Where the counter was when this process saw it last. It only saves a write: the conditions decide.
        self._seen = 0

    def take_turn(self, turns: Turns, *, now: int) -> int:
        """Take the next free turn, for good. One write, or two when the queue has begun or ended since the last one.

        When the reply is lost, the SDK takes another turn, and the first one is wasted.

        Args:
            now: milliseconds since 1970.

        Raises:
            Busy: the queue began and ended several times meanwhile, or the clocks of two instances differ much.
        """
        queues = self._seen > now * 1_000
        for _ in range(_MOST_TRIES):
            try:
                counter: int = self._table.write_alone(_moved(self._table, turns, now, queues=queues))["counter"]
            except ConditionFailed:
                queues = not queues
            else:
                self._seen = counter
                return (counter - turns.interval) // 1_000
        raise Busy(1)


def _moved(table: Table, turns: Turns, now: int, *, queues: bool) -> Write:
    """The write that is ``Turns.take`` while the counter is ahead of the clock (``queues``), or while it is not."""
    moment = now * 1_000
    if queues:
        return table.update(*_TURNS, add={"counter": turns.interval}, condition="#counter > :now", now=moment)
    return table.update(
        *_TURNS,
        set={"counter": moment + turns.interval},
        condition="attribute_not_exists(#counter) OR #counter <= :now",
        now=moment,
    )
