"""The answers about many, each written as soon as it is there: as a table, as CSV (RFC 4180), or as one JSON list."""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fleet.output import is_for_a_person, print_lines, print_table
from fleet.progress import Progress
from fleet.text import printable

# A table's columns are as wide as the widest cell of its first rows; a wider one that comes later moves only its own.
_ROWS_THAT_SET_THE_WIDTHS = 100
# Between what is written on a terminal, for whose sake the bar is taken away each time.
_SECONDS_BETWEEN = 0.2


def add_formats(parser: argparse.ArgumentParser) -> None:
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print JSON on stdout, errors too")
    formats.add_argument("--csv", action="store_true", help="print CSV on stdout, with a line of heads")


class Answers(Protocol):
    """Where the answers go.

    Attributes:
        is_empty: nothing has been written yet, and may never be if ``end`` is not called.
    """

    is_empty: bool

    def add(self, record: Mapping[str, Any], cells: Sequence[str | None]) -> None:
        """Write one: for programs ``record``, for people ``cells``."""

    def end(self) -> None:
        """Write what is still to be written."""


def answers(
    arguments: argparse.Namespace, *, heads: Sequence[str], columns: Sequence[str], progress: Progress
) -> Answers:
    """The form that the options of ``add_formats`` ask for.

    Args:
        heads: of the table.
        columns: of the CSV: names in each record.
        progress: what else writes on the terminal.
    """
    if arguments.json:
        return JsonAnswers()
    if arguments.csv:
        return CsvAnswers(columns, progress)
    return TableAnswers(heads, progress)


class JsonAnswers:
    """A list, as ``print_json`` prints it."""

    def __init__(self) -> None:
        self.is_empty = True
        self._last: list[str] = []  # its comma is not known yet

    def add(self, record: Mapping[str, Any], cells: Sequence[str | None]) -> None:
        import json  # not at the top: --help does without it

        if self.is_empty:
            print_lines(["["])
        else:
            print_lines([*self._last[:-1], f"{self._last[-1]},"])
        self.is_empty = False
        self._last = [f"  {line}" for line in json.dumps(record, indent=2, ensure_ascii=True).split("\n")]

    def end(self) -> None:
        print_lines(["[]"] if self.is_empty else [*self._last, "]"])


class CsvAnswers:
    """A line of heads, and a line for each. Of a list the parts stand between blanks; what is missing is empty."""

    def __init__(self, columns: Sequence[str], progress: Progress) -> None:
        self.is_empty = True
        self._columns = columns
        self._lines = _Paced(progress)

    def add(self, record: Mapping[str, Any], cells: Sequence[str | None]) -> None:
        self._begin()
        self._lines.add(_csv_line([record.get(column) for column in self._columns]))

    def end(self) -> None:
        self._begin()
        self._lines.end()

    def _begin(self) -> None:
        if self.is_empty:
            self._lines.add(_csv_line(self._columns))
            self.is_empty = False


class TableAnswers:
    """Aligned columns. Nothing is written when there are no answers."""

    def __init__(self, heads: Sequence[str], progress: Progress) -> None:
        self.is_empty = True
        self._heads = heads
        self._first: list[Sequence[str | None]] | None = []
        self._since = time.monotonic()
        self._widths: Sequence[int] = ()
        self._progress = progress
        self._lines = _Paced(progress)

    def add(self, record: Mapping[str, Any], cells: Sequence[str | None]) -> None:
        self.is_empty = False
        if self._first is None:
            self._lines.add(_table_line(cells, self._widths))
            return
        self._first.append(cells)
        if len(self._first) >= _ROWS_THAT_SET_THE_WIDTHS or time.monotonic() - self._since > 1:
            self._begin()

    def end(self) -> None:
        self._begin()
        self._lines.end()

    def _begin(self) -> None:
        rows, self._first = self._first, None
        if rows:
            columns = zip(self._heads, *rows, strict=True)
            self._widths = [max(len(printable(cell or "-")) for cell in column) for column in columns]
            with self._progress.aside():
                print_table(self._heads, rows)


class _Paced:
    """Lines for standard output: at once, or on a terminal, where a bar has to make way, a few at a time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._is_terminal = is_for_a_person()
        self._waiting: list[str] = []
        self._since = 0.0

    def add(self, line: str) -> None:
        self._waiting.append(line)
        if not self._is_terminal or time.monotonic() - self._since > _SECONDS_BETWEEN:
            self.end()

    def end(self) -> None:
        if self._waiting:
            with self._progress.aside():
                print_lines(self._waiting)
        self._waiting.clear()
        self._since = time.monotonic()


def _table_line(cells: Sequence[str | None], widths: Sequence[int]) -> str:
    padded = (printable(cell or "-").ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def _csv_line(values: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([_csv_cell(value) for value in values])
    return line.getvalue()


def _csv_cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return printable(value)
        case list() | tuple():
            return " ".join(_csv_cell(each) for each in value)
        case _:
            return str(value)
