"""Random moments of a run at which its process is killed."""

import os
import random
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.fork_server import ForkedProcess

MOMENTS = int(os.environ.get("KILL_MOMENTS", "1"))
"""How many of each command: `make test-killed` sets it."""
SEED = int(os.environ.get("KILL_SEED") or secrets.randbelow(10**9))
_MOST_MISSES = 20
# Seconds: surely within the work of each command. A sample does not measure first.
_SAMPLE_LENGTH = 0.08


@dataclass
class Kills:
    """What was hit: how often in which phase, and how often the run was over before its moment came."""

    length: float
    """Seconds that the work takes when nothing disturbs it."""
    phases: Counter[str] = field(default_factory=Counter)
    missed: int = 0

    def __str__(self) -> str:
        hit = ", ".join(f"{phase} {times}" for phase, times in sorted(self.phases.items()))
        return f"{self.phases.total()} kills in {self.length * 1000:.0f} ms ({self.missed} came too late): {hit}"


def measured(
    prepare: Callable[[], None], start: Callable[[], ForkedProcess], wait_for_work: Callable[[], None]
) -> float:
    """Seconds of work of an undisturbed run: the middle one of three."""
    lengths = []
    for _ in range(3):
        prepare()
        process = start()
        wait_for_work()
        began = time.monotonic()
        out, err = process.communicate(60)
        lengths.append(time.monotonic() - began)
        assert process.returncode == 0, out + err
    return statistics.median(lengths)


def killed_at_random(
    name: str,
    *,
    prepare: Callable[[], None],
    start: Callable[[], ForkedProcess],
    wait_for_work: Callable[[], None],
    phase: Callable[[], str],
    finish: Callable[[], None],
) -> Kills:
    """Kill the process that `start` begins at MOMENTS moments, each after `prepare`; then `finish` what it began.

    Args:
        wait_for_work: returns when the start of the process is over, and its work begins.
        phase: how far it came, asked when it is dead.
    """
    chance = random.Random(f"{SEED} {name}")  # noqa: S311 - the same again with the same seed
    kills = Kills(measured(prepare, start, wait_for_work) if MOMENTS > 1 else _SAMPLE_LENGTH)
    while kills.phases.total() < MOMENTS:
        prepare()
        moment = chance.uniform(0, kills.length)
        process = start()
        wait_for_work()
        time.sleep(moment)
        process.kill()
        process.communicate(10)
        if process.returncode != -9:
            kills.missed += 1
            assert kills.missed < _MOST_MISSES + MOMENTS, f"{name}: {kills}"
            continue
        came_to = phase()
        kills.phases[came_to] += 1
        try:
            finish()
        except BaseException as failure:
            failure.add_note(f"{name} was killed after {moment * 1000:.1f} ms, at {came_to!r}; KILL_SEED={SEED}")
            raise
    return kills
