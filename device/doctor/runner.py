"""Runs the checks one after the other. A check is skipped if one that it needs has failed, and says which."""

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module

from ..errors import DeviceError
from .checklist import Check
from .examination import Examination
from .finding import Finding, Result, Skipped, Status

WARNINGS = 16
"""Exit code when there are warnings, but no check failed."""


def examine(
    checks: Iterable[Check], examination: Examination, *, on_start: Callable[[Check], None]
) -> Iterator[Result]:
    """Run ``checks`` in their order. ``on_start`` is called with each before it runs."""
    for check in checks:
        on_start(check)
        started = time.monotonic()
        result = _run(check, examination, started)
        examination.results[check.id] = result
        yield result


def exit_code(results: Iterable[Result]) -> int:
    """0 when all checks passed, 16 with warnings only, otherwise the exit code of the first failure."""
    results = list(results)
    for result in results:
        if result.status is Status.FAILED:
            return result.exit_code
    return WARNINGS if any(result.status is Status.WARNING for result in results) else 0


def _run(check: Check, examination: Examination, started: float) -> Result:
    def seconds() -> float:
        return time.monotonic() - started

    obstacle = next((name for name in check.needs if not examination.passed(name)), None)
    if obstacle is not None:
        first = _root(obstacle, examination)
        outcome = "failed" if examination.results[first].status is Status.FAILED else "was skipped"
        return Result(check=check.id, status=Status.SKIPPED, text=f"needs {first}, which {outcome}.", needs=first)
    try:
        finding = _function(check)(examination)
    except Skipped as skipped:
        return Result(check=check.id, status=Status.SKIPPED, text=skipped.text, needs=skipped.needs)
    except DeviceError as error:
        return Result(
            check=check.id,
            status=Status.FAILED,
            text=error.cause,
            cure=error.cure,
            seconds=seconds(),
            error=error.kind,
            exit_code=error.exit_code,
        )
    except Exception as defect:  # noqa: BLE001 - a defect in one check must not hide the results of the others
        frame = traceback.extract_tb(defect.__traceback__)[-1]
        return Result(
            check=check.id,
            status=Status.FAILED,
            text=f"this check has a defect: {type(defect).__name__} at {frame.filename}:{frame.lineno}.",
            cure="report this defect, with this line",
            seconds=seconds(),
            error="defect",
            exit_code=DeviceError.exit_code,
        )
    return Result(
        check=check.id,
        status=finding.status,
        text=finding.text,
        cure=finding.cure,
        facts=finding.facts,
        seconds=seconds(),
    )


def _function(check: Check) -> Callable[[Examination], Finding]:
    module = import_module(f".checks.{check.module}", __package__)
    function: Callable[[Examination], Finding] = getattr(module, check.id.replace("-", "_"))
    return function


def _root(name: str, examination: Examination) -> str:
    """The check to begin with: from a skipped check to the one that it needs, and so on."""
    needs = examination.results[name].needs
    if needs is None or examination.passed(needs):
        return name
    return _root(needs, examination)
