"""A backup of a ledger: a file of JSON lines. A header, an item a line, and a last line that tells whether it is whole.

    {"zymkey-fleet-backup": 1, "fleet": …, "region": …, "table": …, "at": …}
    {"pk": "device#pi-1", "sk": "device", …}
    {"items": 4711, "sha256": …}

The hash is of all lines before. There is no secret in it: tokens are hashes of 256 random bits, as in the ledger.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fleet.errors import Refused

FORMAT = 1
_MARK = "zymkey-fleet-backup"
_LONGEST_LINE = 1 << 20  # DynamoDB's longest item has 400 kB


@dataclass(frozen=True, kw_only=True)
class Header:
    """Where and when a backup was made. ``at`` is RFC 3339 in UTC."""

    fleet: str
    region: str
    table: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A file that was read to its end, and is whole."""

    path: Path
    header: Header
    items: int
    digest: str

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The items, read once more.

        Raises:
            Refused: the file is another one by now.
        """
        with _opened(self.path) as file:
            digest = hashlib.sha256(file.readline())
            for _ in range(self.items):
                line = file.readline()
                digest.update(line)
                yield json.loads(line)
        if digest.hexdigest() != self.digest:
            raise _broken(self.path, "it was changed while it was read")


def write(path: Path, header: Header, items: Iterable[dict[str, Any]], *, wrote: Callable[[int], None]) -> int:
    """Write a new file that its owner alone may read, as a whole or not at all. Returns how many items it has.

    Raises:
        Refused: the file exists, or cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if os.path.lexists(path):
            raise FileExistsError(17, os.strerror(17))
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            count = 0
            for line in lines(header, items):
                file.write(line)
                count += 1
                wrote(1)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # never over another file
        _fsync_folder(path.parent)
    except OSError as error:
        raise Refused(
            f"The backup {str(path)!r} cannot be written: {error.strerror}.",
            cure="name a new file, in a folder that you may write to, with room",
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink()
    return count - 2


def lines(header: Header, items: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """The file's lines."""
    digest, count = hashlib.sha256(), -1
    for document in _documents(header, items):
        line = _line(document)
        digest.update(line)
        count += 1
        yield line
    yield _line({"items": count, "sha256": digest.hexdigest()})


def read(path: Path) -> Backup:
    """Read a file to its end, and see that it is a whole backup.

    Raises:
        Refused: it is none, or a part of one, or was changed.
    """
    with _opened(path) as file:
        first = file.readline(_LONGEST_LINE)
        digest, header, count = hashlib.sha256(first), _header(path, first), 0
        while True:
            line = file.readline(_LONGEST_LINE)
            document = _parsed(path, line)
            if "pk" not in document:
                break
            digest.update(line)
            count += 1
        if document != {"items": count, "sha256": digest.hexdigest()} or file.readline(1):
            raise _broken(path, "its last line does not fit the lines before")
    return Backup(path=path, header=header, items=count, digest=digest.hexdigest())


def _documents(header: Header, items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield {_MARK: FORMAT, **asdict(header)}
    yield from items


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=False, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _header(path: Path, line: bytes) -> Header:
    document = _parsed(path, line)
    if document.pop(_MARK, None) != FORMAT:
        raise _broken(path, f"it does not begin as one of format {FORMAT} does")
    try:
        return Header(**{name: str(value) for name, value in document.items()})
    except TypeError:
        raise _broken(path, "its first line is not whole") from None


def _parsed(path: Path, line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise _broken(path, "it ends early")
    try:
        document = json.loads(line)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _broken(path, "a line of it is no JSON object")
    return document


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise Refused(
            f"The backup {str(path)!r} cannot be read: {error.strerror}.", cure="name a file that you may read"
        ) from None


def _broken(path: Path, why: str) -> Refused:
    return Refused(
        f"{str(path)!r} is no whole backup: {why}. Nothing was written.", cure="take another copy of the file"
    )


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
