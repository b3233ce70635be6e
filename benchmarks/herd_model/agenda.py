"""Who acts when: a calendar queue. What is due within one tick lies together, and is sorted when its turn comes.

A heap of a million devices that ask two thousand times each is out of reach; here the cost of an entry does not depend
on how many there are.
"""

import heapq
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Devices: TypeAlias = NDArray[np.int32]
Times: TypeAlias = NDArray[np.float64]

TICK = 0.25
"""Seconds. No answer takes less, so nothing that happens within a tick has an effect within the same tick."""


class Agenda:
    """Devices and the moments (seconds) at which they send their next request. Each device is in it at most once."""

    def __init__(self) -> None:
        self._many: dict[int, list[tuple[Devices, Times]]] = {}
        self._single: dict[int, list[tuple[int, float]]] = {}
        self._ticks: list[int] = []

    def add(self, devices: Devices, times: Times) -> None:
        if not len(devices):
            return
        ticks = (times / TICK).astype(np.int64)
        order = np.argsort(ticks, kind="stable")
        devices, times, ticks = devices[order], times[order], ticks[order]
        starts = np.flatnonzero(np.diff(ticks, prepend=-1)).tolist()
        for tick, start, end in zip(ticks[starts].tolist(), starts, [*starts[1:], len(ticks)], strict=True):
            self._open(tick)
            self._many.setdefault(tick, []).append((devices[start:end], times[start:end]))

    def add_one(self, device: int, time: float) -> None:
        tick = int(time / TICK)
        self._open(tick)
        self._single.setdefault(tick, []).append((device, time))

    def next_tick(self) -> int | None:
        """The tick of the earliest entry."""
        return self._ticks[0] if self._ticks else None

    def take(self, tick: int) -> tuple[Devices, Times]:
        """Remove what is due in ``tick``, the earliest that is left, in the order of time."""
        if self.next_tick() != tick:
            return np.empty(0, np.int32), np.empty(0)
        heapq.heappop(self._ticks)
        parts = self._many.pop(tick, [])
        single = self._single.pop(tick, [])
        if single:
            parts.append((np.array([each[0] for each in single], np.int32), np.array([each[1] for each in single])))
        devices = np.concatenate([part[0] for part in parts])
        times = np.concatenate([part[1] for part in parts])
        order = np.argsort(times, kind="stable")
        return devices[order], times[order]

    def clear(self) -> None:
        """Forget everything: the power is cut."""
        self._many.clear()
        self._single.clear()
        self._ticks.clear()

    def _open(self, tick: int) -> None:
        if tick not in self._many and tick not in self._single:
            heapq.heappush(self._ticks, tick)
