"""Prints the results: a line for each check, or one JSON object for a program."""

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, TextIO

from ..report import BOLD, DIM, GREEN, PLAIN, RED, YELLOW
from ..text import printable
from .checklist import Check
from .finding import Result, Status
from .runner import exit_code

_COLOURS = {Status.OK: GREEN, Status.WARNING: YELLOW, Status.FAILED: RED, Status.SKIPPED: DIM}
_ID_WIDTH = 20
_INDENT = " " * (9 + _ID_WIDTH + 1)
_ERASE_LINE = "\r\033[2K"
_WIDEST = 120


class Report:
    """Prints each result as soon as it is known; on a terminal in colour, wrapped, and with the check that runs."""

    def __init__(self, *, as_json: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._as_json = as_json
        self._terminal = self._stream.isatty() and not as_json
        self._width = min(shutil.get_terminal_size().columns, _WIDEST)

    def started(self, check: Check) -> None:
        if self._terminal:
            print(f"{DIM}…        {check.id}{PLAIN}", end="", file=self._stream, flush=True)

    def passed_over(self) -> None:
        """The check that was started is not to be shown."""
        if self._terminal:
            print(_ERASE_LINE, end="", file=self._stream, flush=True)

    def finished(self, result: Result) -> None:
        if self._as_json:
            return
        self.passed_over()
        for line in lines(result):
            print(self._painted(line, result.status), file=self._stream, flush=True)

    def summary(self, results: Sequence[Result]) -> None:
        if self._as_json:
            print(json.dumps(document(results), indent=2), file=self._stream)
        else:
            sentence = in_a_sentence(results)
            print(f"{BOLD}{sentence}{PLAIN}" if self._terminal else sentence, file=self._stream)

    def _painted(self, line: str, status: Status) -> str:
        if not self._terminal:
            return line
        text = wrapped(line, self._width)
        return text.replace(status, f"{_COLOURS[status]}{status}{PLAIN}", 1) if text.startswith(status) else text


def lines(result: Result) -> list[str]:
    """One line, and a second line with what to try. They are not wrapped, so that text in them can be found."""
    first = f"{result.status:<8} {result.check:<{_ID_WIDTH}} {printable(result.text)}"
    return [first, f"{_INDENT}Try: {printable(result.cure)}"] if result.cure else [first]


def wrapped(line: str, width: int) -> str:
    """The line, wrapped so that its text stays in one column."""
    return textwrap.fill(
        line,
        max(width, len(_INDENT) + 30),
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def in_a_sentence(results: Sequence[Result]) -> str:
    """The last line: which checks failed, and with which to begin."""
    failed = [result.check for result in results if result.status is Status.FAILED]
    warned = [result.check for result in results if result.status is Status.WARNING]
    waiting = sum(result.status is Status.SKIPPED and result.needs is not None for result in results)
    if failed:
        begin = f": begin with {failed[0]}" if len(failed) > 1 else ""
        rest = f" {_checks(waiting)} skipped because of that." if waiting else ""
        return f"{_listed(failed)} failed{begin}.{rest}"
    if warned:
        return f"No check failed. Look at {_listed(warned)}."
    return "All checks passed."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _checks(number: int) -> str:
    return "1 check was" if number == 1 else f"{number} checks were"


def document(results: Sequence[Result]) -> dict[str, Any]:
    """``ok`` says that no check failed; ``exitCode`` tells warnings too. A check has ``id``, ``status``, ``text``."""
    code = exit_code(results)
    return {
        "ok": all(result.status is not Status.FAILED for result in results),
        "exitCode": code,
        "checks": [_check(result) for result in results],
    }


def _check(result: Result) -> dict[str, Any]:
    check: dict[str, Any] = {"id": result.check, "status": result.status.value, "text": result.text}
    if result.cure:
        check["try"] = result.cure
    if result.error:
        check |= {"error": result.error, "exitCode": result.exit_code}
    if result.needs:
        check["needs"] = result.needs
    return check | {"seconds": round(result.seconds, 3)} | ({"facts": dict(result.facts)} if result.facts else {})
