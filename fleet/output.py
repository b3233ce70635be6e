"""How answers and errors look: aligned columns and sentences for people, JSON for programs.

All that the command prints goes through here, where it is made safe for a terminal (``fleet.text``).
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from fleet.errors import FleetError
from fleet.redaction import redacted
from fleet.text import printable

_BOLD, _PLAIN = "\033[1m", "\033[0m"

# What is printed of a long answer before the next part of it is waited for.
_ROWS_AT_ONCE = 500


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str | None]]) -> None:
    """Print columns, aligned by spaces. An empty cell is a hyphen, so that every row has the same number of words.

    The heads are bold on a terminal; nothing is coloured (https://no-color.org). A long table is printed in parts while
    its rows come: they are aligned from the first on, and a column grows when a later part needs it.
    When the reader has left, no more rows are taken: what makes them may read, and never do anything.
    """
    widths = [0] * len(heads)
    is_first = True
    for part in _parts(rows):
        lines = [[printable(cell or "-") for cell in row] for row in ([heads, *part] if is_first else part)]
        widths = [max(width, *map(len, column)) for width, column in zip(widths, zip(*lines, strict=True), strict=True)]
        for line in lines:
            text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            print(f"{_BOLD}{text}{_PLAIN}" if is_first and _is_bold_seen() else text)
            is_first = False
        sys.stdout.flush()
        if reader_has_left():
            return


def _parts(rows: Iterable[Sequence[str | None]]) -> Iterator[list[Sequence[str | None]]]:
    """At least one, which may be empty."""
    remaining = iter(rows)
    part = list(islice(remaining, _ROWS_AT_ONCE))
    yield part
    while part := list(islice(remaining, _ROWS_AT_ONCE)):
        yield part


def print_csv(heads: Sequence[str], rows: Iterable[Sequence[str | None]]) -> None:
    """Print CSV with a line of heads; a cell without a value is empty.

    Cells are quoted for CSV alone, not for spreadsheets that take a cell for a formula: a name that begins with a
    hyphen would not be the device's any more.
    """
    import csv  # not at the top: --help does without it

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(heads)
    for number, row in enumerate(rows, start=1):
        writer.writerow([printable(cell or "") for cell in row])
        if number % _ROWS_AT_ONCE == 0:
            sys.stdout.flush()
            if reader_has_left():
                return


def reader_has_left() -> bool:
    """Whether nobody reads what is printed any more, as behind ``| head``."""
    return bool(getattr(sys.stdout, "reader_has_left", False))


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


def print_json_list(values: Iterable[Any]) -> None:
    """Print one JSON list, as ``print_json`` does, while its members come."""
    import json

    separator = "[\n"
    for number, value in enumerate(values, start=1):
        text = json.dumps(value, indent=2, ensure_ascii=True).replace("\n", "\n  ")
        print(f"{separator}  {text}", end="")
        separator = ",\n"
        if number % _ROWS_AT_ONCE == 0:
            sys.stdout.flush()
            if reader_has_left():
                return
    print("[]" if separator == "[\n" else "\n]")


def print_json_lines(values: Iterable[Any]) -> None:
    """Print one JSON value a line, in ASCII, while they come."""
    import json

    for number, value in enumerate(values, start=1):
        print(json.dumps(value, ensure_ascii=True))
        if number % _ROWS_AT_ONCE == 0:
            sys.stdout.flush()
            if reader_has_left():
                return


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


def is_for_a_person() -> bool:
    """Whether what is printed is read on a terminal."""
    return sys.stdout.isatty()


def _is_bold_seen() -> bool:
    return is_for_a_person() and "NO_COLOR" not in os.environ
