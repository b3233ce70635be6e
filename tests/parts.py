"""The parts of `make test`, side by side: ``python -m tests.parts``.

One after the other, a core would be idle while the end-to-end tests wait for a cloud, and all the while mypy runs. Each
part is a target of the Makefile and can be run alone. A part's output is shown in one piece when the part has ended,
and is kept in ``build/test``; what a part that failed said is shown again at the end, where a reader looks first.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

# In this order they begin: the longest first, then what fails soonest.
PARTS = ("end-to-end", "lint", "unit", "template", "installed")
SIDE_BY_SIDE = 2

LOGS = Path(__file__).parents[1] / "build" / "test"


@dataclass(frozen=True)
class Ended:
    """A part that has ended, with what it said."""

    part: str
    passed: bool
    seconds: float
    output: str

    def __str__(self) -> str:
        return f"{self.part:<12} {'passed' if self.passed else 'FAILED'} {self.seconds:6.0f} s"


def say(*lines: object) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def run(part: str) -> Ended:
    """Run one part to its end. Its output goes to a file while it runs, for whoever cannot wait."""
    began = time.monotonic()
    say(f"{part} ...")
    log = LOGS / f"{part}.log"
    with log.open("wb") as output:
        done = subprocess.run(["make", "--no-print-directory", part], stdout=output, stderr=subprocess.STDOUT)
    return Ended(part, done.returncode == 0, time.monotonic() - began, log.read_text(errors="replace"))


def run_all(parts: Sequence[str]) -> bool:
    """Run the parts, show each as it ends, and say whether all of them passed."""
    LOGS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    say(f"{SIDE_BY_SIDE} at a time: {', '.join(parts)}. What they say as they go is in {LOGS}.")
    ended = []
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for future in as_completed([pool.submit(run, part) for part in parts]):
            ended.append(future.result())
            say(ended[-1].output.rstrip(), ended[-1])
    failed = [each for each in ended if not each.passed]
    for each in failed:
        say(f"\n=== {each.part} failed, and said:", each.output.rstrip())
    say("\n=== Summary", *sorted(ended, key=lambda each: parts.index(each.part)))
    say(f"{'together':<12} {'FAILED' if failed else 'passed'} {time.monotonic() - began:6.0f} s")
    return not failed


if __name__ == "__main__":
    sys.exit(0 if run_all(PARTS) else 1)
