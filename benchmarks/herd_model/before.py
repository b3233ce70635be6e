"""Devices and cloud before there were turns (commit 7d08d49), frozen: what ``benchmarks.herd --before`` measures.

It is a description and not the code, since the code has gone on. In a fleet of several releases, these are its older
devices.
"""

import numpy as np

from .agenda import Devices, Times
from .clients import Flags, Signed
from .cloud import Answer, Limits

LIMITS = Limits(api_rate=50, api_burst=100, registrations=10, throttled_retry_after=5)

FIRST_LIMIT = 1.0
LAST_LIMIT = 60.0
RETRY_AFTER_SPREAD = 0.1
LONGEST_RETRY_AFTER = 6 * 3600.0
GIVE_UP_AFTER = 300.0
RESTART_AFTER = 180.0


class EarlierClients:
    """Full jitter of 1 to 60 s, or Retry-After and up to a tenth more; after 300 s the run ends, and the service starts
    another one 3 minutes later, which signs a new CSR."""

    needs_configuration = True

    def __init__(self, devices: int, signed: Signed, random: np.random.Generator) -> None:
        self._signed, self._random = signed, random
        self._limit = np.full(devices, FIRST_LIMIT)
        self._end = np.zeros(devices)

    def power_on(self, devices: Devices, times: Times, *, enrolling: Flags) -> Times:
        self._begin(devices, times, enrolling=enrolling)
        return times

    def not_answered(self, devices: Devices, times: Times, *, enrolling: Flags, refused: Flags) -> Times:
        limits = self._limit[devices]
        self._limit[devices] = np.minimum(limits * 2, LAST_LIMIT)
        return self._again(devices, times, times + self._random.random(len(devices)) * limits, enrolling=enrolling)

    def answered(self, answer: Answer) -> float:
        assert answer.retry_after is not None
        asked = min(answer.retry_after, LONGEST_RETRY_AFTER)
        again = float(answer.at + asked * (1 + self._random.random() * RETRY_AFTER_SPREAD))
        if again <= self._end[answer.device]:
            return again
        one, begins = np.array([answer.device], np.int32), np.array([answer.at + RESTART_AFTER])
        self._begin(one, begins, enrolling=np.ones(1, np.bool_))
        return float(begins[0])

    def configure(self, device: int, time: float) -> float:
        self._limit[device] = FIRST_LIMIT
        return time

    def _again(self, devices: Devices, times: Times, again: Times, *, enrolling: Flags) -> Times:
        given_up = again > self._end[devices]
        begins = times[given_up] + RESTART_AFTER
        self._begin(devices[given_up], begins, enrolling=enrolling[given_up])
        again[given_up] = begins
        return again

    def _begin(self, devices: Devices, times: Times, *, enrolling: Flags) -> None:
        self._limit[devices] = FIRST_LIMIT
        self._end[devices] = times + GIVE_UP_AFTER
        self._signed(devices[enrolling])
