"""How each step went, and how AWS answered where its documents do not say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fleet.errors import FleetError
from fleet.failures import explained
from fleet.output import print_line
from fleet.smoke_test.questions import QUESTIONS


class StepFailed(Exception):
    """A step failed; the message says how."""


@dataclass(kw_only=True)
class Step:
    """``detail`` is for people. A step that needs the result of a failed step is not in the report."""

    name: str
    ok: bool = False
    seconds: float = 0.0
    detail: str = ""


@dataclass(kw_only=True)
class Report:
    """Grows while the steps run, so that it also shows how far an interrupted smoke test came."""

    prints: bool  # a line a step, while they run
    steps: list[Step] = field(default_factory=list)
    observations: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)  # of questions that are left open

    @property
    def ok(self) -> bool:
        return bool(self.steps) and all(step.ok for step in self.steps)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step and record how it ends. ``StepFailed`` ends here; see ``ok`` of what is yielded."""
        step = Step(name=name)
        self.steps.append(step)
        began = time.monotonic()
        try:
            yield step
            step.ok = True
        except StepFailed as failure:
            step.ok, step.detail = False, str(failure)
        except BaseException as error:
            step.ok, step.detail = False, type(error).__name__
            raise
        finally:
            step.seconds = time.monotonic() - began
            self._print(step)

    def observe(self, question: str, answer: Any) -> None:
        """Record an answer that AWS's documents do not give; ``question`` is one of ``QUESTIONS``."""
        if question not in QUESTIONS:
            raise KeyError(question)
        self.observations[question] = answer

    def ask(self, question: str, answer: Callable[[], Any]) -> None:
        """Record what ``answer`` returns. Where it cannot find out, the question is left open, and no step fails."""
        try:
            with explained():
                self.observe(question, answer())
        except FleetError as error:
            self.leave_open(question, error.in_one_line)

    def leave_open(self, question: str, why: str) -> None:
        """Say why this run does not answer a question."""
        if question not in QUESTIONS:
            raise KeyError(question)
        self.reasons[question] = why

    @property
    def open(self) -> dict[str, str]:
        """The questions without an answer, each with the reason."""
        return {
            question: self.reasons.get(question, "an earlier step failed")
            for question in QUESTIONS
            if question not in self.observations
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "steps": [
                {"step": each.name, "ok": each.ok, "seconds": round(each.seconds, 3), "detail": each.detail}
                for each in self.steps
            ],
            "observations": self.observations,
            "open": self.open,
        }

    def _print(self, step: Step) -> None:
        if self.prints:
            mark = "ok" if step.ok else "FAILED"
            print_line(f"{mark:6}  {step.name:28}  {step.seconds:6.2f} s  {step.detail}".rstrip())
