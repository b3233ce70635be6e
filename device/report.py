"""One line for each step: what was done, and how long it took."""

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from .text import printable

BOLD, DIM, YELLOW, GREEN, RED, PLAIN = (
    "\033[1m",
    "\033[2m",
    "\033[33m",
    "\033[32m",
    "\033[31m",
    "\033[0m",
)


@dataclass
class Step:
    """A step in progress. ``done`` becomes its line; ``facts`` go into the JSON report."""

    name: str
    done: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class Report:
    """Prints lines for a person as the steps go on or, with ``as_json``, one object for a program at the end.

    Lines have colour only on a terminal.
    """

    def __init__(self, *, as_json: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._as_json = as_json
        self._colour = self._stream.isatty()
        self._steps: list[Step] = []
        self._warnings: list[str] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time the block, then print its line. A block that fails gets a line too, and its error is raised."""
        step = Step(name)
        self._steps.append(step)
        started = time.monotonic()
        try:
            yield step
        except BaseException:
            step.seconds = time.monotonic() - started
            self._line(RED, name, "failed", step.seconds)
            raise
        step.seconds = time.monotonic() - started
        self._line(GREEN, name, step.done, step.seconds)

    def note(self, text: str) -> None:
        """Print something to know while a step goes on."""
        self._print(self._paint(DIM, f"  {'':<10} {printable(text)}"))

    @property
    def is_watched(self) -> bool:
        """Whether a person looks on."""
        return self._colour and not self._as_json

    def count_down(self, seconds: float) -> None:
        """Sleep, and say on one line, which is removed at the end, how long it still takes."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            hours, rest = divmod(math.ceil(left), 3600)
            text = f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
            line = self._paint(DIM, f"  {'':<10} {text}")
            self._stream.write(f"\r{line}\033[K")
            self._stream.flush()
            time.sleep(min(left, 1.0))
        self._stream.write("\r\033[K")
        self._stream.flush()

    def warn(self, text: str) -> None:
        """Print a warning, once however often it is said, and keep it for the JSON report."""
        if text in self._warnings:
            return
        self._warnings.append(text)
        self._print(self._paint(YELLOW, f"  {'warning':<10} {printable(text)}"))

    def conclude(self, sentence: str, **facts: Any) -> None:
        """Print the last lines, or the JSON object: ``ok``, the facts, the warnings, and the steps with seconds."""
        if not self._as_json:
            self._print(self._paint(BOLD, "\n".join(map(printable, sentence.split("\n")))))
            return
        steps = [{"step": s.name, "done": s.done, "seconds": round(s.seconds, 3), **s.facts} for s in self._steps]
        document = {"ok": True, **facts, "warnings": self._warnings, "steps": steps}
        print(json.dumps(document, indent=2), file=self._stream, flush=True)

    def forget_steps(self) -> None:
        """Of a try that failed: the next one tells its own, and a service may try for months."""
        self._steps.clear()

    def _line(self, colour: str, name: str, text: str, seconds: float) -> None:
        duration = self._paint(DIM, f"({seconds:.2f} s)")
        self._print(f"  {self._paint(colour, f'{name:<10}')} {printable(text)} {duration}")

    def _print(self, line: str) -> None:
        if not self._as_json:
            print(line, file=self._stream, flush=True)

    def _paint(self, code: str, text: str) -> str:
        return f"{code}{text}{PLAIN}" if self._colour else text
