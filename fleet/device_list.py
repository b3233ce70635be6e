"""Devices from a file: ``--from FILE`` of ``invite``, ``allow`` and ``approve``; ``fleet/list_rows.py`` has the format.

Attributes are ``a=b;c=d``, or in JSON an object; groups are ``g1;g2``, or a list.

A list is read twice, line by line: first all of it is checked, so that a typing error in line 900 costs no 899 devices,
and each bad line is told; then its devices are yielded. What is remembered are names and keys, since none may come
twice: some 300 bytes a device.
"""

from __future__ import annotations

import argparse
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from fleet.arguments import device_name
from fleet.errors import Refused
from fleet.list_rows import COLUMNS, Lines, Rows, Unusable
from fleet.output import note
from fleet.public_key import fingerprint_of
from fleet.things import ThingRules, attribute, group
from ledger import ThingProfile

STANDARD_INPUT = "-"
_SPOOLED_IN_MEMORY = 1 << 20

FORMAT = """\
A list is CSV with the columns name, key, attributes (a=b;c=d) and groups (g1;g2): in this order, of which the last ones
may be missing, or in any order below a line with their names; or JSON lines, one object with these members a device.
All of it is checked before anything is done. What --attribute and --group say is said of all its devices."""


@dataclass(frozen=True, kw_only=True)
class ListedDevice:
    """One device to let in."""

    name: str
    key: str | None = None  # its fingerprint
    profile: ThingProfile | None = None  # what its thing gets of its own; None where nobody said anything


def name_of(device: ListedDevice) -> str:
    return device.name


@dataclass(frozen=True)
class _Problem:
    line: int
    reason: str
    is_last: bool = False  # nothing after it can be read


def add_list(group: Any) -> None:
    """The option that names the list, for an ``argparse`` parser or a group of one."""
    group.add_argument(
        "--from", metavar="FILE", dest="list", help="a list of devices, as CSV or JSON lines; - is standard input"
    )


@contextmanager
def open_list(file: str) -> Iterator[BinaryIO]:
    """The file, or for ``-`` standard input, in a form that can be read twice: what comes from a pipe is kept aside.

    Raises:
        Refused: it cannot be read.
    """
    if file == STANDARD_INPUT:
        if sys.stdin is None:
            raise _not_read(file, "standard input is closed")
        with _kept_aside(sys.stdin.buffer) as content:
            yield content
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115 - not in a with: its user's errors are none of opening it
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise _not_read(file, getattr(error, "strerror", None) or error) from None
    with source:
        if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            yield source
        else:
            with _kept_aside(source) as content:
                yield content


def _not_read(file: str, why: object) -> Refused:
    return Refused(f"The list {file!r} cannot be read: {why}.", cure="name a file that you may read")


@contextmanager
def _kept_aside(source: BinaryIO) -> Iterator[BinaryIO]:
    """In memory, or in a file without a name, which ends with this process however that ends."""
    with tempfile.SpooledTemporaryFile(max_size=_SPOOLED_IN_MEMORY) as spooled:
        shutil.copyfileobj(source, spooled)
        yield cast(BinaryIO, spooled)


@dataclass(kw_only=True)
class DeviceList:
    """The devices of an open file.

    Args:
        source: the file's name.
        with_keys: whether each line needs a key; otherwise none may have one.
        profile: what the command line gives to every device; a line adds to it, and its attributes win.
        rules: the deployment's, which every device's thing has to keep.
    """

    file: BinaryIO
    source: str
    with_keys: bool
    rules: ThingRules = field(default_factory=ThingRules)
    profile: ThingProfile | None = None

    def __post_init__(self) -> None:
        self._checked = 0
        self.source = "standard input" if self.source == STANDARD_INPUT else self.source

    def __len__(self) -> int:
        """How many devices were found by ``check``."""
        return self._checked

    def check(self) -> None:
        """Read all of it.

        Raises:
            Refused: it lists no device, or a line cannot be used; each such line has been told on standard error.
        """
        first, problems, self._checked = None, 0, 0
        for each in self._entries():
            if isinstance(each, ListedDevice):
                self._checked += 1
                continue
            problems += 1
            first = first or each
            note(f"{self.source}, line {each.line}: {each.reason}")
        if first is not None:
            lines = f"{problems} lines" if problems > 1 else "1 line"
            raise Refused(
                f"{lines} of {self.source} cannot be used, the first is line {first.line}: {first.reason}. Nothing was "
                "done.",
                cure="correct the file, and run the same command again",
            )
        if not self._checked:
            raise Refused(f"{self.source} lists no device.", cure="name the file that was meant")

    def __iter__(self) -> Iterator[ListedDevice]:
        """The devices of a list that was checked.

        Raises:
            Refused: somebody has changed the file since.
        """
        for each in self._entries():
            if isinstance(each, _Problem):
                raise Refused(
                    f"{self.source} has changed while it was read; line {each.line}: {each.reason}.",
                    cure="correct the file, and run the same command again",
                )
            yield each

    def _entries(self) -> Iterator[ListedDevice | _Problem]:
        self.file.seek(0)
        rows = Rows(Lines(self.file))
        seen: dict[str, int] = {}
        while True:
            try:
                row = next(rows, None)
                if row is None:
                    return
                device = self._device(row)
                _refuse_repetition(device.name, f"the name {device.name!r}", seen, rows.line)
                if device.key is not None:
                    _refuse_repetition(device.key, f"the key {device.key}", seen, rows.line)
                yield device
            except Unusable as error:
                yield _Problem(rows.line, str(error), error.is_last)
                if error.is_last:
                    return

    def _device(self, row: Mapping[str, Any]) -> ListedDevice:
        unknown = [name for name in row if name not in COLUMNS]
        if unknown:
            raise Unusable(f"{unknown[0]!r} is none of {', '.join(COLUMNS)}")
        try:
            name = device_name(_text(row, "name"))
            attributes = _once(attribute(each) for each in _attributes(row.get("attributes")))
            groups = [group(each) for each in _groups(row.get("groups"))]
            self.rules.check_groups(groups)
            profile = self._with(attributes, groups)
            key = self._key(_text(row, "key"))
        except argparse.ArgumentTypeError as error:
            raise Unusable(str(error)) from None
        except Refused as error:
            raise Unusable(error.cause.rstrip(".")) from None
        return ListedDevice(name=name, key=key, profile=profile)

    def _with(self, attributes: Mapping[str, str], groups: list[str]) -> ThingProfile | None:
        if not attributes and not groups:
            return self.profile
        everyone = self.profile or ThingProfile()
        profile = ThingProfile(
            attributes={**everyone.attributes, **attributes}, groups=tuple(dict.fromkeys((*everyone.groups, *groups)))
        )
        self.rules.check(profile)
        return profile

    def _key(self, text: str) -> str | None:
        if self.with_keys:
            if not text:
                raise Unusable("there is no key, which `zymkey-iot key --csv` prints on the device")
            return fingerprint_of(text)
        if text:
            raise Unusable("a device whose key is known needs no token; `allow` lets it in")
        return None


def _text(row: Mapping[str, Any], member: str) -> str:
    value = row.get(member)
    if value is not None and not isinstance(value, str):
        raise Unusable(f"the {member} is not a text")
    return value or ""


def _attributes(value: Any) -> list[str]:
    """Each as ``NAME=VALUE``."""
    if not isinstance(value, dict):
        return _groups(value, "attributes")
    if not all(isinstance(each, str) for each in value.values()):
        raise Unusable("the value of an attribute is not a text")
    if named := next((name for name in value if "=" in name), None):
        raise Unusable(f"{named!r} is not the name of an attribute")
    return [f"{name}={each}" for name, each in value.items()]


def _once(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    by_name: dict[str, str] = {}
    for name, value in attributes:
        if by_name.setdefault(name, value) != value:
            raise Unusable(f"the attribute {name} has two values, {by_name[name]!r} and {value!r}")
    return by_name


def _groups(value: Any, what: str = "groups") -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(";") if part.strip()]
    if what == "groups" and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    raise Unusable(f"{what} that are neither a text nor a JSON {'list of texts' if what == 'groups' else 'object'}")


def _refuse_repetition(value: str, what: str, seen: dict[str, int], line: int) -> None:
    before = seen.setdefault(value, line)
    if before != line:
        raise Unusable(f"{what} is in line {before}, too")
