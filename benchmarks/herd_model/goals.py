"""What is asked of a run, and how it is computed from what was seen."""

from dataclasses import dataclass

import numpy as np

from .agenda import Times
from .simulation import Outcome

LOUD = 5_000
"""Requests a second from which on other APIs of the account suffer: half of API Gateway's limit of 10,000 for all APIs
of an account and Region."""
FIRST_MINUTE = 60
HANDSHAKE = 1
"""The signature with which a device proves its new certificate at AWS IoT's data endpoint. The rest are CSRs."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One row of the table.

    Attributes:
        completion: the time that the quota allows at best, divided by the time that it took.
        displacement: how far a device's place in the order of completion is from its place in the order in which the
            function first answered, at the 95th percentile, as a part of the fleet.
        loud_seconds: seconds with more than ``LOUD`` requests, and the last one of them.
    """

    devices: int
    hours: float
    completion: float
    requests: float
    most_requests: int
    signatures: float
    peak: int
    loud_seconds: int
    last_loud_second: int
    displacement: float
    lost: int


def best_time(asked: Times, per_second: float) -> float:
    """When the last device could be done if nothing counted but the quota and the moments at which devices ask."""
    ordered = np.sort(asked)
    behind = np.arange(len(ordered), 0, -1)
    return float(np.max(ordered + behind / per_second))


def displacement(outcome: Outcome) -> float:
    done = np.flatnonzero(~np.isnan(outcome.done) & ~np.isnan(outcome.accepted))
    if not len(done):
        return 1.0
    by_acceptance = np.argsort(np.argsort(outcome.accepted[done], kind="stable"), kind="stable")
    by_completion = np.argsort(np.argsort(outcome.done[done], kind="stable"), kind="stable")
    return float(np.percentile(np.abs(by_acceptance - by_completion), 95)) / len(done)


def figures(outcome: Outcome, *, per_second: float, dark: float = 0.0) -> Figures:
    """Args:
    per_second: AWS IoT's quota of registrations.
    dark: for how many seconds there was no power; nobody can be done then.
    """
    lost = int(np.isnan(outcome.done).sum())
    took = float(np.nanmax(outcome.done)) if lost < len(outcome.done) else float("inf")
    loud = np.flatnonzero(outcome.per_second > LOUD)
    return Figures(
        devices=len(outcome.done),
        hours=took / 3600,
        completion=(best_time(outcome.asked, per_second) + dark) / took,
        requests=float(outcome.requests.mean()),
        most_requests=int(outcome.requests.max()),
        signatures=float(outcome.signatures.mean()),
        peak=int(outcome.per_second.max()),
        loud_seconds=len(loud),
        last_loud_second=int(loud[-1]) if len(loud) else 0,
        displacement=displacement(outcome),
        lost=lost,
    )


@dataclass(frozen=True, kw_only=True)
class Goals:
    """Bounds; one that is None is not asked for."""

    completion: float | None = 0.95
    requests: float | None = 8.0
    signatures: float | None = 2.0
    last_loud_second: int | None = FIRST_MINUTE
    displacement: float | None = 0.05

    def missed(self, seen: Figures) -> list[str]:
        """A sentence for each goal that this run misses."""
        return [
            sentence
            for holds, sentence in (
                (seen.lost == 0, f"{seen.lost} of {seen.devices} devices have no certificate"),
                (
                    self.completion is None or seen.completion >= self.completion,
                    f"completion is {seen.completion:.3f} of the optimum, and should be at least {self.completion}",
                ),
                (
                    self.requests is None or seen.requests <= self.requests,
                    f"{seen.requests:.1f} requests a device, and should be at most {self.requests}",
                ),
                (
                    self.signatures is None or seen.signatures + HANDSHAKE <= self.signatures,
                    f"{seen.signatures:.2f} CSRs and a handshake a device, and should be {self.signatures} signatures",
                ),
                (
                    self.last_loud_second is None or seen.last_loud_second < self.last_loud_second,
                    f"more than {LOUD} requests in second {seen.last_loud_second}",
                ),
                (
                    self.displacement is None or seen.displacement <= self.displacement,
                    f"displacement is {seen.displacement:.3f} of the fleet, and should be at most {self.displacement}",
                ),
            )
            if not holds
        ]
