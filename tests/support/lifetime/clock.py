"""The time of a simulation, for all code of this process that asks for it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import pytest

DAY = 86_400


class Clock:
    """Until its block ends, ``time.time()`` is ``now``, and who sleeps moves it. The SDK signs with the real time."""

    def __init__(self) -> None:
        self.began = self.now = time.time()
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        self._patch.setattr(time, "time", lambda: self.now)
        self._patch.setattr(time, "sleep", self._sleep)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._patch.undo()

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def day(self) -> float:
        """Days since the beginning."""
        return (self.now - self.began) / DAY

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def go_to(self, moment: float) -> None:
        """Never back."""
        self.now = max(self.now, moment)
