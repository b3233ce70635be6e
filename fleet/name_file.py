"""Names of devices, or keys' fingerprints, from a file: one a line, the column of a CSV, or a member of JSON."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fleet.errors import Refused
from fleet.fingerprints import normal_fingerprint
from pki.names import DEVICE_NAME_RULE, is_device_name

_NAME = ("name",)
_FINGERPRINT = ("fingerprint", "key")
_STDIN = Path("-")
# A million names of full length; more than that is another file than was meant.
_MAX_BYTES = 100 << 20


def names_from(path: Path) -> list[str]:
    """The names in a file, each once, in the file's order; ``-`` is standard input.

    The file is UTF-8 with or without a byte order mark, with any ends of lines. It has one of four forms:

    - one name a line;
    - CSV, separated by commas, semicolons or tabs: the column ``name`` (or ``NAME``) where the first line has one, and
      the first column otherwise;
    - JSON lines: objects with a member ``name``;
    - one JSON list of names, or of objects with a member ``name``, as ``zymkey-fleet list --json`` prints it.

    Empty lines and lines that begin with ``#`` are skipped. So a device that is called ``name`` cannot come first.

    Raises:
        Refused: the file cannot be read, or one of its names is no device's name; with the number of the line.
    """
    rule = f"a device name, which is {DEVICE_NAME_RULE}"
    return _words(path, _NAME, lambda text: text if is_device_name(text) else None, rule)


def fingerprints_from(path: Path) -> list[str]:
    """The keys' fingerprints in a file, as ``names_from`` takes names: the column is ``fingerprint``, or ``key``.

    Raises:
        Refused: the file cannot be read, or one of them is no fingerprint.
    """
    return _words(path, _FINGERPRINT, normal_fingerprint, "a fingerprint, which is SHA256: and 43 characters")


def _words(path: Path, columns: Sequence[str], normal: Callable[[str], str | None], rule: str) -> list[str]:
    """What a file has in one of these columns.

    Args:
        normal: a word as it should be; None for one that cannot be meant.
        rule: what it should be, for the sentence about one that is not.
    """
    what = "standard input" if path == _STDIN else repr(str(path))
    text = _text(path, what)
    read = {"[": _of_json_list, "{": _of_json_lines}.get(text.lstrip()[:1], _of_columns)
    words: dict[str, None] = {}
    for place, found in read(text, what, columns):
        word = normal(found) if isinstance(found, str) else None
        if word is None:
            raise Refused(
                f"{what}, {place}: {found!r} is not {rule}.",
                cure="correct it, and run the same command again; nothing was done",
            )
        words[word] = None
    return list(words)


def _of_columns(text: str, what: str, columns: Sequence[str]) -> Iterator[tuple[str, Any]]:
    lines = ("" if line.startswith("#") else line for line in io.StringIO(text, newline=None))
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    # Names hold none of the three, so whichever comes first parts the columns.
    separator = next((each for each in first if each in ",;\t"), ",")
    rows = csv.reader(lines, delimiter=separator)
    column: int | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if column is None:
                heads = [cell.lower() for cell in cells]
                column = next((heads.index(each) for each in columns if each in heads), None)
                if column is not None:
                    continue
                column = 0
            yield f"line {rows.line_num}", cells[column] if column < len(cells) else ""
    except csv.Error as error:
        raise Refused(f"{what}, line {rows.line_num}: {error}.", cure="save the file as CSV") from None


def _of_json_lines(text: str, what: str, columns: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        place = f"line {number}"
        yield place, _member(_json(line, f"{what}, {place}"), columns)


def _of_json_list(text: str, what: str, columns: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for number, entry in enumerate(_json(text, what), start=1):
        yield f"entry {number} of the list", _member(entry, columns)


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(f"{where}: this is not JSON.", cure="give one object a line, or one list") from None


def _member(entry: Any, columns: Sequence[str]) -> Any:
    if not isinstance(entry, dict):
        return entry
    return next((entry[each] for each in columns if each in entry), None)


def _text(path: Path, what: str) -> str:
    try:
        if path == _STDIN:
            content = sys.stdin.buffer.read(_MAX_BYTES + 1) if sys.stdin is not None else b""
        else:
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise Refused(
            f"The file {what} cannot be read: {getattr(error, 'strerror', error)}.",
            cure="name a file that you may read",
        ) from None
    if len(content) > _MAX_BYTES:
        raise Refused(f"The file {what} is larger than {_MAX_BYTES >> 20} MiB.", cure="name the file that was meant")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Refused(f"{what}, line {line}: this is not UTF-8.", cure="save the file as UTF-8 text or CSV") from None
