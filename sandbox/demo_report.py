"""What a demonstration did: step by step while it runs, as a table at its end, and as JSON."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


class UnexpectedError(Exception):
    """A step did not go as expected. The message says how."""


@dataclass
class Step:
    """``title`` is what is done, ``result`` the outcome, ``signatures`` how often the device's key signed."""

    title: str
    ok: bool = False
    seconds: float = 0.0
    result: str = "not run"
    signatures: int | None = None


@dataclass
class Report:
    """The steps of one demonstration, and facts about its device."""

    titles: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, Step] = field(init=False)

    def __post_init__(self) -> None:
        self.steps = {name: Step(title=title) for name, title in self.titles.items()}

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Announce, time and record the step ``name``. An exception inside fails the step, and is raised again."""
        step = self.steps[name]
        print(f"\n{list(self.steps).index(name) + 1}. {step.title}")
        began = time.monotonic()
        try:
            yield step
            step.ok = True
        except UnexpectedError as failure:
            step.result = f"FAILED: {failure}"
            raise
        finally:
            step.seconds = round(time.monotonic() - began, 2)
            print(f"   -> {step.result} ({step.seconds:.1f} s)")

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps.values())

    def print_table(self) -> None:
        width = max(len(step.title) for step in self.steps.values())
        print(f"\n{'step':{width}}  {'':4} {'seconds':>7}  {'signatures':>10}  result")
        for step in self.steps.values():
            state = "ok" if step.ok else "-" if step.result == "not run" else "FAIL"
            signatures = "" if step.signatures is None else step.signatures
            result = step.result.partition("\n")[0]
            print(f"{step.title:{width}}  {state:4} {step.seconds:7.1f}  {signatures:>10}  {result}")

    def write(self, path: Path) -> None:
        steps = [{"name": name, **asdict(step)} for name, step in self.steps.items()]
        seconds = round(sum(step.seconds for step in self.steps.values()), 2)
        document = {"ok": self.ok, "seconds": seconds, **self.facts, "steps": steps}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n")
