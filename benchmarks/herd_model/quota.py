"""A token bucket: how API Gateway throttles, and how the rate quotas of AWS IoT are understood here."""

import math
from bisect import bisect_left
from collections.abc import Sequence


class TokenBucket:
    """``rate`` calls a second, and ``burst`` at once. Moments must not go backwards."""

    def __init__(self, *, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, 0.0

    def take(self, now: float) -> bool:
        """Whether a call at this moment (seconds) is allowed."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def admit(self, times: Sequence[float]) -> list[int]:
        """The positions of the calls that are allowed; ``times`` are in order.

        It costs as much as there are allowed calls: those between are skipped.
        """
        admitted = []
        position = 0
        while position < len(times):
            now = times[position]
            if self.take(now):
                admitted.append(position)
                position += 1
            else:
                ready = math.nextafter(now + (1 - self._tokens) / self._rate, math.inf)
                position = max(position + 1, bisect_left(times, ready, position + 1))
        return admitted
