"""What a check returns or raises: a finding, a DeviceError, or that there is nothing to check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The words never change: programs read them."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found, other than a failure.

    ``text`` is a phrase when the check passed, and a sentence in a warning; ``cure`` says what to do about a warning;
    ``facts`` are for programs.
    """

    text: str
    status: Status = Status.OK
    cure: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def ok(text: str, **facts: Any) -> Finding:
    return Finding(text=text, facts=facts)


def warning(text: str, *, cure: str = "", **facts: Any) -> Finding:
    return Finding(text=text, status=Status.WARNING, cure=cure, facts=facts)


class Skipped(Exception):
    """There is nothing to check. ``needs`` is the check that has to pass first, if there is one."""

    def __init__(self, text: str, *, needs: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.needs = needs


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of one check, as doctor reports it."""

    check: str
    status: Status
    text: str
    cure: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    error: str | None = None
    """Which error it was, such as ``port-closed``; failed checks only."""

    exit_code: int = 0
    """The exit code that another command would have; failed checks only."""

    needs: str | None = None
    """The check to look at first; skipped checks only."""
