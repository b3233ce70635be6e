"""How answers and errors look: aligned columns and sentences for people, JSON for programs.

All that the command prints goes through here, where it is made safe for a terminal (``fleet.text``).
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fleet.errors import FleetError
from fleet.redaction import redacted
from fleet.text import printable

_BOLD, _PLAIN = "\033[1m", "\033[0m"


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    """Print columns, aligned by spaces. An empty cell is a hyphen, so that every row has the same number of words.

    The heads are bold on a terminal; nothing is coloured (https://no-color.org).
    """
    lines = [[printable(cell or "-") for cell in row] for row in [heads, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        print(f"{_BOLD}{text}{_PLAIN}" if number == 0 and _is_terminal() else text)


def print_record(record: Mapping[str, str | None]) -> None:
    """Print one attribute a line; those without a value are left out."""
    width = max(map(len, record)) + 2
    for name, value in record.items():
        if value is not None:
            print_line(f"{name + ':':{width}}{value}")


def print_line(text: str) -> None:
    """Print one line on standard output, as soon as it is there."""
    print(printable(text), flush=True)


def print_lines(lines: Iterable[str]) -> None:
    """Print some lines at once, as soon as they are there."""
    print("\n".join(printable(line) for line in lines), flush=True)


def print_pem(text: str) -> None:
    """Print PEM, which has lines."""
    for line in text.splitlines():
        print_line(line)


def print_json(value: Any) -> None:
    """Print JSON in ASCII: its own escapes stand for whatever else a text has in it."""
    import json  # not at the top: --help does without it

    print(json.dumps(value, indent=2, ensure_ascii=True))


def print_error(error: FleetError, *, as_json: bool) -> None:
    """Print cause and cure on standard error; for programs also one object on standard output."""
    if as_json:
        print_json_error(error)
    note(f"zymkey-fleet: {error.cause}")
    if error.cure:
        note(f"Try: {error.cure}")


def print_json_error(error: FleetError) -> None:
    """Print an error's one object on standard output."""
    print_json(
        {
            "ok": False,
            "error": error.kind,
            "exitCode": error.exit_code,
            "cause": error.cause,
            "try": error.cure,
        }
    )


def note(text: str) -> None:
    """Print a sentence for the person on standard error, so that the answer on standard output can be piped."""
    print(printable(text), file=sys.stderr)


def print_trace(error: BaseException) -> None:
    """Print a stack trace for the one who looks for a defect, without the secrets in it."""
    import traceback

    for line in redacted("".join(traceback.format_exception(error))).splitlines():
        note(line)


def iso(seconds: int | None) -> str | None:
    """A time as ISO 8601 in UTC, as in ``2026-11-24T14:00:00Z``."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_terminal() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
