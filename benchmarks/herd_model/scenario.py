"""Fleets to simulate: how many devices, of which releases, and when they power on."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from device.settings import DEFAULT_FIRST_WAIT

from .agenda import Times
from .before import LIMITS as LIMITS_BEFORE
from .before import EarlierClients
from .clients import Clients
from .cloud import Cloud, Limits
from .goals import Figures, figures
from .service import ServiceClients
from .simulation import Fleet, Simulation
from .turns import TurnsInMemory
from .world import Chance

LIMITS = Limits(api_rate=500, api_burst=1_000, registrations=10, throttled_retry_after=5)
"""``infra.enrollment_api`` and ``functions.failures``; tests hold them together."""

FIRST_WAIT = DEFAULT_FIRST_WAIT
AT_MOST = 100 * 86_400.0
"""Seconds after which a device that has no certificate is lost."""
_DAY = 86_400.0

Starts = Callable[[int, np.random.Generator], Times]


def within(seconds: float) -> Starts:
    """Every device powers on within so many seconds."""
    return lambda devices, random: random.random(devices) * seconds


def renewals(*, spread_days: float) -> Starts:
    """Each device asks at the first check after its own moment: every six hours, and up to half an hour later.

    As device/service/units/zymkey-iot-renew.timer and ``device.renew.renewal_time`` say; the moments of a fleet that
    was enrolled at once are spread over a twelfth of a certificate's life.
    """

    def starts(devices: int, random: np.random.Generator) -> Times:
        due = random.random(devices) * spread_days * _DAY
        checks: Times = np.ceil(due / CHECK_EVERY) * CHECK_EVERY + random.random(devices) * CHECK_SPREAD
        return checks

    return starts


CHECK_EVERY = 6 * 3600.0
CHECK_SPREAD = 30 * 60.0


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A fleet, and what happens to it.

    Attributes:
        earlier: the part of the fleet that has the release before there were turns, as a part of one.
        first_wait: in seconds; the service waits a random part of it after power-on.
        turns: False for the cloud before there were turns, too.
        power_cut: when the power goes, as a part of the time that the quota allows at best, and for how many seconds.
    """

    title: str
    devices: int
    starts: Starts
    earlier: float = 0.0
    turns: bool = True
    first_wait: float = FIRST_WAIT
    power_cut: tuple[float, float] | None = None
    chance: Chance = field(default_factory=Chance)

    def run(self, seed: int) -> Figures:
        """The same seed gives the same figures."""
        devices, limits = self.devices, LIMITS if self.turns else LIMITS_BEFORE
        chance = np.random.default_rng([seed, devices])
        fleet = Fleet(devices)
        cloud = Cloud(
            devices,
            limits,
            queue=TurnsInMemory() if self.turns else None,
            chance=self.chance,
            random=random.Random(seed),  # noqa: S311
        )
        kinds: list[Clients] = [EarlierClients(devices, fleet.signed, chance)]
        if self.earlier < 1:
            kinds.append(ServiceClients(devices, fleet.signed, random.Random(seed + 1), first_wait=self.first_wait))  # noqa: S311
        kind = (chance.random(devices) >= self.earlier).astype(np.int8)
        starts = self.starts(devices, chance)
        simulation = Simulation(fleet, cloud, kinds, kind, chance=self.chance, random=chance)
        best, dark = devices / limits.registrations, 0.0
        power_cut = None
        if self.power_cut is not None:
            when, dark = best * self.power_cut[0], self.power_cut[1]
            power_cut = (when, when + dark + self.starts(devices, chance))
        outcome = simulation.run(starts, power_cut=power_cut, at_most=AT_MOST)
        return figures(outcome, per_second=limits.registrations, dark=dark)
