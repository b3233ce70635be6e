"""The clock: it hands each request to the cloud in the order of time, each answer to its device, and counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .agenda import TICK, Agenda, Devices, Times
from .clients import Clients, Flags
from .cloud import Answer, Cloud
from .world import CLIENT_TIMEOUT, FUNCTION, ROUND_TRIP, Chance

Counts: TypeAlias = NDArray[np.int64]

_ENROLLS, _CONFIGURES, _DONE = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was seen, device by device and second by second. Moments are seconds from the start.

    Attributes:
        accepted: when the function first answered the device; NaN for never.
        done: when it had certificate and configuration; NaN for never.
        per_second: requests at the API.
    """

    asked: Times
    accepted: Times
    done: Times
    requests: Counts
    signatures: Counts
    per_second: Counts


class Fleet:
    """Devices, each of one of several kinds, and what is counted of them."""

    def __init__(self, devices: int) -> None:
        self.phase = np.zeros(devices, np.int8)
        self.requests = np.zeros(devices, np.int64)
        self.signatures = np.zeros(devices, np.int64)
        self.asked = np.full(devices, np.nan)
        self.accepted = np.full(devices, np.nan)
        self.done = np.full(devices, np.nan)

    def signed(self, devices: Devices) -> None:
        self.signatures[devices] += 1


class Simulation:
    """One fleet at one cloud."""

    def __init__(
        self,
        fleet: Fleet,
        cloud: Cloud,
        kinds: Sequence[Clients],
        kind: NDArray[np.int8],
        *,
        chance: Chance,
        random: np.random.Generator,
    ) -> None:
        """``kind`` is each device's place in ``kinds``."""
        self._fleet, self._cloud, self._kinds, self._kind = fleet, cloud, kinds, kind
        self._chance, self._random = chance, random
        self._agenda = Agenda()
        self._per_second = np.zeros(1024, np.int64)
        # Requests that the cloud works at; a power cut forgets them at their devices.
        self._waits_for_answer = np.zeros(len(kind), np.bool_)

    def run(self, starts: Times, *, power_cut: tuple[float, Times] | None = None, at_most: float) -> Outcome:
        """Run until every device is done, or for ``at_most`` seconds.

        Args:
            starts: when each device's service starts, in seconds.
            power_cut: when the power goes, and when each device's service starts again.
        """
        self._power_on(np.arange(len(starts), dtype=np.int32), starts)
        self._fleet.asked[:] = starts
        while (tick := self._next_tick()) is not None and tick * TICK < at_most:
            if power_cut is not None and (tick + 1) * TICK > power_cut[0]:
                self._cut_power(power_cut[1])
                power_cut = None
                continue
            self._tick(tick)
        fleet = self._fleet
        return Outcome(
            asked=fleet.asked,
            accepted=fleet.accepted,
            done=fleet.done,
            requests=fleet.requests,
            signatures=fleet.signatures,
            per_second=np.trim_zeros(self._per_second, "b"),
        )

    def _next_tick(self) -> int | None:
        ours, work = self._agenda.next_tick(), self._cloud.next_work()
        if work is None:
            return ours
        return int(work / TICK) if ours is None else min(ours, int(work / TICK))

    def _tick(self, tick: int) -> None:
        devices, times = self._agenda.take(tick)
        self._count(tick, devices)
        admitted = self._cloud.gateway.admit(times.tolist())
        refused = np.ones(len(devices), np.bool_)
        refused[admitted] = False
        self._refuse(devices[refused], times[refused])
        for position in admitted:
            self._admit(int(devices[position]), float(times[position]))
        self._cloud.answer_until((tick + 1) * TICK, self._hear)

    def _count(self, tick: int, devices: Devices) -> None:
        second = int(tick * TICK)
        if second >= len(self._per_second):
            self._per_second = np.concatenate([self._per_second, np.zeros(second + 1, np.int64)])
        self._per_second[second] += len(devices)
        self._fleet.requests[devices] += 1

    def _refuse(self, devices: Devices, times: Times) -> None:
        """API Gateway answers 429 to those for which there is no token."""
        lost = self._random.random(len(devices)) < self._chance.lost
        self._again(devices, times + np.where(lost, CLIENT_TIMEOUT, ROUND_TRIP), lost)

    def _again(self, devices: Devices, times: Times, lost: Flags) -> None:
        enrolling = self._fleet.phase[devices] == _ENROLLS
        for number, clients in enumerate(self._kinds):
            mine = self._kind[devices] == number if len(self._kinds) > 1 else np.ones(len(devices), np.bool_)
            if mine.any():
                again = clients.not_answered(devices[mine], times[mine], enrolling=enrolling[mine], refused=~lost[mine])
                self._agenda.add(devices[mine], again)

    def _admit(self, device: int, time: float) -> None:
        if self._fleet.phase[device] == _CONFIGURES:
            self._hear_configuration(device, time + ROUND_TRIP + FUNCTION)
            return
        if np.isnan(self._fleet.accepted[device]):
            self._fleet.accepted[device] = time
        self._waits_for_answer[device] = True
        self._cloud.receive(device, time)

    def _hear(self, answer: Answer) -> None:
        """An answer of the function to an enrollment, if the device still waits for it."""
        device = answer.device
        if not self._waits_for_answer[device]:
            return
        self._waits_for_answer[device] = False
        if self._is_lost():
            self._nothing_heard(device, answer.at)
            return
        clients = self._kinds[self._kind[device]]
        if answer.status != 200:
            self._agenda.add_one(device, clients.answered(answer))
        elif clients.needs_configuration:
            self._fleet.phase[device] = _CONFIGURES
            self._agenda.add_one(device, clients.configure(device, answer.at))
        else:
            self._finish(device, answer.at)

    def _hear_configuration(self, device: int, time: float) -> None:
        if self._is_lost():
            self._nothing_heard(device, time)
        else:
            self._finish(device, time)

    def _nothing_heard(self, device: int, time: float) -> None:
        self._again(np.array([device], np.int32), np.array([time + CLIENT_TIMEOUT]), np.ones(1, np.bool_))

    def _finish(self, device: int, time: float) -> None:
        self._fleet.phase[device] = _DONE
        self._fleet.done[device] = time

    def _is_lost(self) -> bool:
        return bool(self._random.random() < self._chance.lost)

    def _power_on(self, devices: Devices, times: Times) -> None:
        for number, clients in enumerate(self._kinds):
            mine = self._kind[devices] == number
            if mine.any():
                enrolling = self._fleet.phase[devices[mine]] == _ENROLLS
                self._agenda.add(devices[mine], clients.power_on(devices[mine], times[mine], enrolling=enrolling))

    def _cut_power(self, starts: Times) -> None:
        """What the cloud works at goes on; its answers reach nobody."""
        self._agenda.clear()
        self._waits_for_answer[:] = False
        left = np.flatnonzero(self._fleet.phase != _DONE).astype(np.int32)
        self._power_on(left, starts[left])
