"""``python -m benchmarks.scale``: measure the operator's commands and the sweep with 1,000 and 10,000 devices.

Each runs in a process of its own, against an emulator that has the fleet in its memory. With ``--devices 100000`` it
takes half an hour: the emulator goes through the whole table for each page.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks.comparison import RESULTS
from benchmarks.processes import Cost, clean_environment, measure
from benchmarks.scale.arithmetic import AtAMillion, at_a_million
from benchmarks.scale.cloud import Cloud, cloud
from benchmarks.scale.seeding import enrolled, name_of
from benchmarks.wheel import REPOSITORY

SHOW, AUDIT, BROKEN, SWEEP, BLOCK = "show", "audit", "audit, 1 % faults", "sweep", "block --from, 1,000"
DAILY = "daily audit"
AUDIT_SECONDS_AT_10_000 = 60.0
DEVICES_A_CALL = 25
AUDIT_BYTES_AT_100_000 = 200e6


@dataclass(frozen=True, kw_only=True)
class Run:
    """One command with so many devices: its cost, its AWS calls by operation, and the same at a million."""

    what: str
    devices: int
    cost: Cost
    calls: dict[str, int]
    at_a_million: AtAMillion
    missed: list[str] = field(default_factory=list)

    def row(self) -> list[str]:
        million = self.at_a_million
        calls = ", ".join(f"{name.split(':')[1]} {count}" for name, count in sorted(self.calls.items()))
        return [
            f"{self.devices:,}",
            self.what,
            f"{self.cost.wall:.1f}",
            f"{self.cost.memory / 1e6:.0f}",
            calls,
            f"{million.calls:,}",
            f"{million.seconds:,.0f}",
            f"{million.read_units:,.0f}",
            f"{million.usd:.2f}",
        ]


HEADS = ["devices", "what", "s", "MB", "AWS calls", "calls at 1M", "s at 1M", "read units at 1M", "USD at 1M"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--devices", type=int, nargs="+", default=[1_000, 10_000], metavar="N")
    sizes = parser.parse_args().devices
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for devices in sizes:
            for run in measured(Path(folder) / str(devices), devices):
                print("  ".join(run.row()), flush=True)
                runs.append(run)
    return report(runs)


def measured(folder: Path, devices: int) -> Iterator[Run]:
    """Everything with so many devices, one after the other; what changes something comes last."""
    with cloud(folder / "sound", devices=devices) as sound:
        for what, words in {
            "list": ["list", "--json"],
            "list --count": ["list", "--count"],
            "list --state blocked": ["list", "--state", "blocked"],
            SHOW: ["show", name_of(devices // 2)],
            AUDIT: ["audit"],
            DAILY: ["daily-audit"],
            SWEEP: ["sweep"],
        }.items():
            yield run(folder, sound, what, devices, words)
        names = folder / "names"
        names.write_text("".join(f"{name}\n" for name in islice(enrolled(devices), 1000)))
        yield run(folder, sound, BLOCK, devices, ["block", "--from", str(names), "--json"])
    with cloud(folder / "broken", devices=devices, with_faults=True) as broken:
        yield run(folder, broken, BROKEN, devices, ["audit", "--json"], code=1)


def run(folder: Path, on: Cloud, what: str, devices: int, words: list[str], *, code: int = 0) -> Run:
    """Run one command to its end.

    Raises:
        RuntimeError: it ended with another exit code.
    """
    result = folder / "calls.json"
    cost = measure(
        sys.executable,
        *("-m", "benchmarks.scale.counted", str(result), *words),
        folder=REPOSITORY,
        environment=clean_environment(on.environment),
    )
    said = json.loads(result.read_text())
    if said["code"] != code:
        raise RuntimeError(f"`{' '.join(words)}` ended with {said['code']}, not with {code}.")
    million = at_a_million(
        said["calls"],
        devices=devices,
        table_bytes=on.table_bytes,
        index_bytes=on.index_bytes,
        grows=what not in (SHOW, BLOCK),
    )
    done = Run(what=what, devices=devices, cost=cost, calls=said["calls"], at_a_million=million)
    done.missed.extend(missed(done))
    return done


def missed(run: Run) -> Iterator[str]:
    """The goals that a run did not reach."""
    if run.what not in (AUDIT, BROKEN):
        return
    who = f"{run.what} of {run.devices:,}"
    to_dynamodb = sum(count for name, count in run.calls.items() if name.startswith("dynamodb:"))
    # A small fleet pays for the four segments.
    if to_dynamodb > max(DEVICES_A_CALL, run.devices / DEVICES_A_CALL):
        yield f"{who}: {to_dynamodb} calls to DynamoDB, more than one for {DEVICES_A_CALL} devices"
    if run.devices <= 10_000 and run.cost.wall > AUDIT_SECONDS_AT_10_000:
        yield f"{who}: {run.cost.wall:.0f} s, more than {AUDIT_SECONDS_AT_10_000:.0f}"
    if run.devices <= 100_000 and run.cost.memory > AUDIT_BYTES_AT_100_000:
        yield f"{who}: {run.cost.memory / 1e6:.0f} MB, more than {AUDIT_BYTES_AT_100_000 / 1e6:.0f}"


def report(runs: list[Run]) -> int:
    """Print the table for docs/scale.md, write build/benchmarks/scale.json, and return 1 when a goal was missed."""
    lines = ["", "| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    lines += ["| " + " | ".join(run.row()) + " |" for run in runs]
    print("\n".join(lines))
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "scale.json"
    machine = {"processors": os.cpu_count(), "architecture": platform.machine(), "system": platform.system()}
    path.write_text(json.dumps({"machine": machine, "runs": [asdict(run) for run in runs]}, indent=2) + "\n")
    path.with_suffix(".md").write_text("\n".join(lines[1:]) + "\n")
    print(f"\nWritten to {path} and {path.with_suffix('.md').name}.")
    sentences = [sentence for run in runs for sentence in run.missed]
    for sentence in sentences:
        print(f"MISSED: {sentence}")
    return 1 if sentences else 0


if __name__ == "__main__":
    raise SystemExit(main())
