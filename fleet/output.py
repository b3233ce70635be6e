"""How answers look: aligned columns for people, JSON for programs."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_BOLD, _PLAIN = "\033[1m", "\033[0m"


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    """Print columns, aligned by spaces; an empty cell is a hyphen, so that every row has as many words.

    The heads are bold on a terminal, and nothing is coloured anywhere (https://no-color.org).
    """
    lines = [[cell or "-" for cell in row] for row in [heads, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        print(f"{_BOLD}{text}{_PLAIN}" if number == 0 and _is_terminal() else text)


def print_record(record: Mapping[str, str | None]) -> None:
    """Print one thing, an attribute a line, those without a value left out."""
    width = max(map(len, record)) + 2
    for name, value in record.items():
        if value is not None:
            print(f"{name + ':':{width}}{value}")


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def note(text: str) -> None:
    """Say something to the person, apart from the answer: on standard error, so that the answer can be piped."""
    print(text, file=sys.stderr)


def iso(seconds: int | None) -> str | None:
    """A time as ISO 8601 in UTC, as in ``2026-11-24T14:00:00Z``."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_terminal() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
