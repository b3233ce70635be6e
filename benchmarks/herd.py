"""A fleet that powers on together: the device's own waits and the functions' own turns, in simulated time.

    python -m benchmarks.herd               goals at 1,000, 10,000 and 100,000 devices
    python -m benchmarks.herd --all         at 1,000,000 too, minutes
    python -m benchmarks.herd --before      what it was before there were turns, for comparison

Prints one row a fleet, in Markdown, writes build/benchmarks/herd.json, and exits with 1 when a goal was missed. The
same seed gives the same figures. How the model works: docs/scale.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median_low

from .comparison import RESULTS
from .herd_model.goals import Figures, Goals
from .herd_model.scenario import Scenario, renewals, within
from .herd_model.world import Chance

MILLION = 1_000_000
# Where one lost answer, 20 s, is a fifth of the whole, the middle of several runs says more than one of them.
ROUNDS = {1_000: 9, 10_000: 3}
CALM = Chance(throttled=0.0, lost=0.0)


@dataclass(frozen=True)
class Row:
    """One fleet, and what is asked of it; None when it is for comparison alone."""

    scenario: Scenario
    goals: Goals | None
    rounds: int = 1


def rows(sizes: list[int]) -> Iterator[Row]:
    """The fleets whose goals are to hold."""
    for devices in sizes:
        goals = Goals(requests=12 if devices >= MILLION else 8)
        rounds = ROUNDS.get(devices, 1)
        yield Row(Scenario(title="at once", devices=devices, starts=within(1)), goals, rounds)
        yield Row(Scenario(title="within 10 minutes", devices=devices, starts=within(600)), goals, rounds)
    some = min(100_000, sizes[-1])
    yield Row(
        Scenario(
            title="at once, power cut at half time, at once again", devices=some, starts=within(1), power_cut=(0.5, 60)
        ),
        # Those whose turns passed in the dark come at once, and ask in vain until they are through.
        Goals(completion=0.9, requests=12, last_loud_second=None, displacement=None),
    )
    yield Row(
        Scenario(title="at once, every fifth of the release before", devices=some, starts=within(1), earlier=0.2),
        # What devices of that release do is theirs: nobody may be lost, and nobody may hold up the others.
        Goals(completion=0.9, requests=None, signatures=None, displacement=None, last_loud_second=None),
    )
    yield Row(Scenario(title="renewals", devices=some, starts=renewals(spread_days=365 / 12)), Goals(requests=2))


def rows_before(sizes: list[int]) -> Iterator[Row]:
    """The fleets and the cloud before there were turns, without AWS's own throttling and lost answers."""
    for devices in sizes:
        yield Row(
            Scenario(title="at once", devices=devices, starts=within(1), earlier=1, turns=False, chance=CALM), None
        )


def middle(scenario: Scenario, *, seed: int, rounds: int) -> Figures:
    """The run whose completion is the median of ``rounds`` runs."""
    runs = [scenario.run(seed + number) for number in range(rounds)]
    completion = median_low(run.completion for run in runs)
    return next(run for run in runs if run.completion == completion)


HEADER = (
    "| power on | devices | done after | of the optimum | requests a device | CSRs a device | peak requests/s "
    "| seconds above 5,000/s | out of order | lost |\n|---|---|---|---|---|---|---|---|---|---|"
)


def line(title: str, seen: Figures) -> str:
    done = f"{seen.hours * 3600:,.0f} s" if seen.hours < 2 else f"{seen.hours:.1f} h"
    loud = f"{seen.loud_seconds:,}" + (f", the last is {seen.last_loud_second:,}" if seen.loud_seconds else "")
    return (
        f"| {title} | {seen.devices:,} | {done} | {seen.completion:.2f} | {seen.requests:,.1f} | {seen.signatures:.1f} "
        f"| {seen.peak:,} | {loud} | {seen.displacement:.1%} | {seen.lost} |"
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.herd", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--devices", type=int, nargs="+", metavar="N", default=[1_000, 10_000, 100_000])
    parser.add_argument("--all", action="store_true", help="a million devices, too")
    parser.add_argument("--before", action="store_true", help="the release before there were turns, for comparison")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    sizes = sorted({*options.devices, *([MILLION] if options.all else [])})
    documents, missed = [], []
    print(HEADER)
    for row in rows_before(sizes) if options.before else rows(sizes):
        began = time.monotonic()
        seen = middle(row.scenario, seed=options.seed, rounds=row.rounds)
        sentences = row.goals.missed(seen) if row.goals else []
        print(line(row.scenario.title, seen), flush=True)
        missed += [f"{row.scenario.title}, {seen.devices:,} devices: {sentence}" for sentence in sentences]
        documents.append(
            {
                "title": row.scenario.title,
                "seed": options.seed,
                "rounds": row.rounds,
                **asdict(seen),
                "goals": asdict(row.goals) if row.goals else None,
                "missed": sentences,
                "wallSeconds": round(time.monotonic() - began, 1),
            }
        )
    for sentence in missed:
        print(f"MISSED: {sentence}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / ("herd-before.json" if options.before else "herd.json")
    path.write_text(json.dumps(documents, indent=2) + "\n")
    print(f"\nWritten to {path}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
