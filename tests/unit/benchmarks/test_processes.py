"""What a benchmark says about a process is true: all of its processor time, the largest process's memory."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks.comparison import Comparison
from benchmarks.processes import CommandFailed, Cost, measure

BUSY = "import time; began = time.process_time()\nwhile time.process_time() < began + 0.1: pass"
LARGE = "block = bytearray(64_000_000)"


def cost_of(code: str, folder: Path) -> Cost:
    return measure(sys.executable, "-S", "-c", code, folder=folder, environment=os.environ)


def test_the_processor_time_of_children_counts(tmp_path):
    started = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {BUSY!r}])"
    assert cost_of(started, tmp_path).cpu >= 0.1


def test_memory_is_that_of_the_largest_process(tmp_path):
    one = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {LARGE!r}])"
    assert 64_000_000 < cost_of(f"{one}; {one.partition('; ')[2]}", tmp_path).memory < 128_000_000


def test_the_memory_of_the_benchmark_itself_does_not_count(tmp_path):
    ballast = bytearray(os.urandom(1)) * 100_000_000
    assert cost_of("pass", tmp_path).memory < len(ballast)


def test_a_command_that_fails_is_no_result(tmp_path):
    with pytest.raises(CommandFailed, match="ended with 3: too bad"):
        cost_of("import sys; sys.stderr.write('too bad'); sys.exit(3)", tmp_path)


def test_costs_add_up_one_after_the_other():
    assert Cost(1, 10, 2).then(Cost(2, 30, 1)) == Cost(3, 30, 3)


def test_a_missed_target_is_named():
    costs = {"ours": [Cost(0.6, 80, 1.0)] * 3, "theirs": [Cost(1.0, 100, 1.0)] * 3}
    comparison = Comparison(title="", ours="ours", costs=costs, targets={"cpu": 0.5, "memory": 0.8, "wall": 1.0})
    assert comparison.missed() == ["cpu is 0.60 of theirs's, and should be at most 0.5"]
