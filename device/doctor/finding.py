"""What a check answers: a finding, or a DeviceError, or that there is nothing to check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Stable words: programs read them."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found that is no failure.

    `text` is a phrase when all is well and a sentence in a warning; `cure` says what to do about a warning;
    `facts` are for programs.
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
    """There is nothing to check. `needs` is the check that it depends on, if there is one."""

    def __init__(self, text: str, *, needs: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.needs = needs


@dataclass(frozen=True, kw_only=True)
class Result:
    """One check's outcome, as it is reported."""

    check: str
    status: Status
    text: str
    cure: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    error: str | None = None
    """Which error it was, such as `port-closed`; failed checks only."""

    exit_code: int = 0
    """What another command would have ended with; failed checks only."""

    needs: str | None = None
    """The check to look at first; skipped checks only."""
