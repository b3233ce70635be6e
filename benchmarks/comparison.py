"""Alternate between contestants, take medians, hold the ratios against targets, show and write them."""

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .processes import Cost

Contestant = Callable[[], Cost]

RESULTS = Path(__file__).parents[1] / "build" / "benchmarks"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``ours`` against the others, by name. Targets are ratios to the first of the others: cpu, memory, wall."""

    title: str
    ours: str
    costs: Mapping[str, list[Cost]]
    targets: Mapping[str, float] = field(default_factory=dict)

    def median(self, name: str) -> Cost:
        costs = self.costs[name]
        return Cost(
            statistics.median(cost.cpu for cost in costs),
            int(statistics.median(cost.memory for cost in costs)),
            statistics.median(cost.wall for cost in costs),
        )

    def ratios(self, other: str) -> dict[str, float]:
        """Ours over the other's, of the medians."""
        mine, its = self.median(self.ours), self.median(other)
        return {"cpu": mine.cpu / its.cpu, "memory": mine.memory / its.memory, "wall": mine.wall / its.wall}

    @property
    def reference(self) -> str:
        return next(name for name in self.costs if name != self.ours)

    def missed(self) -> list[str]:
        """The targets that this run missed."""
        ratios = self.ratios(self.reference)
        return [
            f"{what} is {ratios[what]:.2f} of {self.reference}'s, and should be at most {most:g}"
            for what, most in self.targets.items()
            if ratios[what] > most
        ]

    def print(self) -> None:
        rounds = len(self.costs[self.ours])
        print(f"\n{self.title} (medians of {rounds} rounds, alternating)\n")
        width = max(len("ratio to " + name) for name in self.costs)
        print(f"  {'':{width}}   CPU s  peak MB  wall s")
        for name in self.costs:
            cost = self.median(name)
            print(f"  {name:{width}}  {cost.cpu:6.3f}  {cost.memory / 1e6:7.1f}  {cost.wall:6.3f}")
        for other in (name for name in self.costs if name != self.ours):
            ratios = self.ratios(other)
            print(
                f"  {'ratio to ' + other:{width}}  {ratios['cpu']:6.2f}  {ratios['memory']:7.2f}  {ratios['wall']:6.2f}"
            )
        if self.targets:
            limits = "  ".join(f"{what} at most {most:g}" for what, most in self.targets.items())
            print(f"  target, to {self.reference}: {limits}")
        for sentence in self.missed():
            print(f"  MISSED: {sentence}")

    def document(self) -> dict[str, Any]:
        medians = {name: self.median(name) for name in self.costs}
        return {
            "title": self.title,
            "machine": {"processors": os.cpu_count(), "architecture": platform.machine(), "system": platform.system()},
            "rounds": len(self.costs[self.ours]),
            "medians": {
                name: {"cpuSeconds": round(cost.cpu, 4), "peakBytes": cost.memory, "wallSeconds": round(cost.wall, 4)}
                for name, cost in medians.items()
            },
            "ours": self.ours,
            "ratios": {
                name: {what: round(ratio, 3) for what, ratio in self.ratios(name).items()}
                for name in self.costs
                if name != self.ours
            },
            "targets": dict(self.targets),
            "missed": self.missed(),
        }


def compare(
    title: str,
    contestants: Mapping[str, Contestant],
    *,
    rounds: int,
    targets: Mapping[str, float] | None = None,
) -> Comparison:
    """Let every contestant run once unmeasured, then ``rounds`` times in turns. The first is ours."""
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()
    for round_number in range(rounds):
        # Each starts as often as any other, so that what a round warms up favours none.
        order = list(contestants)
        order = order[round_number % len(order) :] + order[: round_number % len(order)]
        for name in order:
            costs[name].append(contestants[name]())
    return Comparison(title=title, ours=next(iter(contestants)), costs=costs, targets=targets or {})


def report(name: str, *comparisons: Comparison) -> int:
    """Print all, write build/benchmarks/NAME.json, and return an exit code: 1 when a target was missed."""
    for comparison in comparisons:
        comparison.print()
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps([comparison.document() for comparison in comparisons], indent=2) + "\n")
    print(f"\nWritten to {path}.")
    return 1 if any(comparison.missed() for comparison in comparisons) else 0
