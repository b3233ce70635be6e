"""The service of this release: its unit file's rules, and the device's own waiting policy (``device.retry.Waits``)."""

import random
from types import SimpleNamespace
from typing import cast

import numpy as np

from device import est, https
from device.errors import DeviceError, NoAnswer, Queued
from device.keys import DeviceKey
from device.retry import LONGEST_RETRY_AFTER, UNATTENDED, Temperament, Waits

from .agenda import Devices, Times
from .clients import Flags, Signed
from .cloud import Answer

_KEY = cast(DeviceKey, SimpleNamespace(fingerprint="SHA256:…"))
_NO_ANSWER = NoAnswer("nothing came back in time.")


class ServiceClients:
    """Devices whose service waits as this release's does: it never gives up, and keeps its CSR across restarts.

    ``power_on`` makes the device's policy anew, as a process does. The CSR of a device that was on before is on disk,
    and so is its turn, at which it comes back.
    """

    needs_configuration = False

    def __init__(
        self,
        devices: int,
        signed: Signed,
        random: random.Random,
        *,
        first_wait: float,
        temperament: Temperament = UNATTENDED,
    ) -> None:
        """``first_wait``: in seconds; the service waits a random part of it before its first request."""
        self._signed, self._random = signed, random
        self._first_wait, self._temperament = first_wait, temperament
        self._waits: list[Waits | None] = [None] * devices
        self._turn = np.zeros(devices)
        self._has_csr = np.zeros(devices, np.bool_)
        self._now = 0.0
        self._errors: dict[tuple[int, int | None, bool], DeviceError] = {}

    def power_on(self, devices: Devices, times: Times, *, enrolling: Flags) -> Times:
        unsigned = devices[enrolling & ~self._has_csr[devices]]
        self._signed(unsigned)
        self._has_csr[unsigned] = True
        chance = np.array([self._random.random() for _ in devices])
        to_turn = np.minimum(self._turn[devices] - times, LONGEST_RETRY_AFTER)
        begin = times + np.where(to_turn > 0, to_turn, self._first_wait * chance)
        for device, time in zip(devices.tolist(), begin.tolist(), strict=True):
            self._now = time
            self._waits[device] = Waits(self._temperament, random=self._random.random, clock=self._clock)
        return begin

    def not_answered(self, devices: Devices, times: Times, *, enrolling: Flags, refused: Flags) -> Times:
        busy = self._error(429)
        again = [
            time + self._wait(device, time, busy if was_refused else _NO_ANSWER)
            for device, time, was_refused in zip(devices.tolist(), times.tolist(), refused.tolist(), strict=True)
        ]
        return np.array(again)

    def answered(self, answer: Answer) -> float:
        error = self._error(answer.status, answer.retry_after, answer.place)
        if isinstance(error, Queued) and error.retry_after is not None:
            self._turn[answer.device] = answer.at + error.retry_after
        return answer.at + self._wait(answer.device, answer.at, error)

    def configure(self, device: int, time: float) -> float:
        return time

    def _wait(self, device: int, time: float, error: DeviceError) -> float:
        waits = self._waits[device]
        assert waits is not None
        self._now = time
        return waits.after(error)

    def _clock(self) -> float:
        return self._now

    def _error(self, status: int, retry_after: int | None = None, place: int | None = None) -> DeviceError:
        """What the device's own code makes of an answer. How many come first changes nothing for its waits."""
        known = self._errors.get((status, retry_after, place is None))
        if known is None:
            headers = {"retry-after": retry_after, "zymkey-place": place}
            reply = https.Reply(status, {name: str(value) for name, value in headers.items() if value is not None}, b"")
            known = est.refusal(reply, url="https://cloud.example", name="pi", token=None, key=_KEY)
            self._errors[status, retry_after, place is None] = known
        return known
