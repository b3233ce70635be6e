"""The rows of a list of devices, which is CSV (RFC 4180) or JSON lines.

CSV has the columns name, key, attributes and groups: in this order, of which the last ones may be missing, or in any
order below a first line that names them. Below such a line they may be separated by semicolons or tabs, as spreadsheets
of many countries save them, with quotation marks where a cell has a semicolon.

JSON lines are objects with these members. The text is UTF-8, with or without a byte order mark, with any line ends.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

COLUMNS = ("name", "key", "attributes", "groups")
_LONGEST_LINE = 1 << 16  # bytes: ten groups and fifty attributes of the greatest length fit


class Unusable(Exception):
    """Why a line, or with ``is_last`` the rest of the file, cannot be used."""

    def __init__(self, reason: str, *, is_last: bool = False) -> None:
        super().__init__(reason)
        self.is_last = is_last


class Lines:
    """The lines of a file as text. After a line that is none it goes on; a generator would have ended."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._looked_at: list[str] = []
        self.number = 0  # of the line that was read last

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        self.number += 1
        if self._looked_at:
            return self._looked_at.pop()
        line = self._file.readline(_LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        if len(line) > _LONGEST_LINE:
            raise Unusable(f"longer than {_LONGEST_LINE} bytes, so this is no list of devices", is_last=True)
        if self.number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise Unusable("this is UTF-16; save the file as UTF-8", is_last=True)
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise Unusable("not UTF-8; save the file as UTF-8") from None

    def put_back(self, line: str) -> None:
        """Have this line read once more."""
        self._looked_at.append(line)
        self.number -= 1


class Rows:
    """What each line says, by column or member; lines without anything are passed over."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._next: Callable[[], Mapping[str, Any] | None] | None = None
        self.line = 0  # where the row begins that was read last; one in CSV may have several lines

    def __iter__(self) -> Rows:
        return self

    def __next__(self) -> Mapping[str, Any]:
        while True:
            self.line = self._lines.number + 1
            if self._next is None:
                self._next = self._reader()
            elif row := self._next():
                return row

    def _reader(self) -> Callable[[], Mapping[str, Any] | None] | None:
        """How to read the rows, by the first line that says something; None as long as none does."""
        first = next(self._lines)
        if not first.strip():
            return None
        if first.lstrip().startswith("["):
            raise Unusable("JSON lines are one object a line, such as `jq -c '.[]'` makes of a list", is_last=True)
        if first.lstrip().startswith("{"):
            self._lines.put_back(first)
            return lambda: _json_object(next(self._lines))
        separator = "," if "," in first else next((each for each in ";\t" if each in first), ",")
        columns = _header(first, separator)
        if columns is None:
            if separator != ",":  # it could also be what parts attributes or groups
                raise Unusable("columns are separated by commas; or else the first line names them", is_last=True)
            self._lines.put_back(first)
        rows = csv.reader(self._lines, delimiter=separator, strict=True)
        return lambda: _csv_row(columns or list(COLUMNS), rows)


def _header(line: str, separator: str) -> list[str] | None:
    """The columns that the first line names; None when it is a device's."""
    with suppress(csv.Error):
        cells = [cell.strip().lower() for cell in next(csv.reader([line], delimiter=separator, strict=True))]
        if "name" not in cells:
            return None
        named = [cell for cell in cells if cell]
        for cell in named:
            if cell not in COLUMNS:
                raise Unusable(f"the column {cell!r} is none of {', '.join(COLUMNS)}", is_last=True)
            if named.count(cell) > 1:
                raise Unusable(f"there are two columns {cell!r}", is_last=True)
        return cells
    return None


def _csv_row(columns: list[str], rows: Iterator[list[str]]) -> Mapping[str, str] | None:
    try:
        cells = next(rows)
    except csv.Error as error:
        raise Unusable(f"not CSV: {str(error).partition(' - ')[0]}") from None
    if not any(cell.strip() for cell in cells):
        return None
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise Unusable(f"more columns than {', '.join(each for each in columns if each)}")
    row = {column: cell.strip() for column, cell in zip(columns, cells, strict=False)}
    if row.pop("", ""):
        raise Unusable("a value below a column without a name")
    return row


def _json_object(line: str) -> Mapping[str, Any] | None:
    if not line.strip():
        return None
    try:
        row = json.loads(line, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        raise Unusable("not JSON") from None
    if not isinstance(row, dict):
        raise Unusable("not a JSON object")
    if not row:
        raise Unusable("no member, so no name")
    return row


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two members with one name, JSON's readers take the last one without a word."""
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise Unusable(f"there are two members {twice!r}")
    return members
