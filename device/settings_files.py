"""The two TOML files with settings, read line by line where one is broken: a typing error hides no other line.

From the SD card's FAT partition, which anybody can write who holds the card, only what a card needs is taken. Nothing
there makes root load a library, read a file that is not on the card, or send one anywhere.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import UsageError
from .text_file import decoded, read_small

CARD = Path("/boot/firmware/zymkey-iot.toml")
FILES = (Path("/etc/zymkey-iot.toml"), CARD)

ON_CARD = ("url", "name", "token", "token_file", "certificate", "key", "keep_token", "first_wait")
"""What the card may set."""

_FILES_ON_CARD = ("token_file", "certificate")
_MISPLACED = (Path("/boot/zymkey-iot.toml"), Path("/etc/zymkey-iot/zymkey-iot.toml"))
_TYPOGRAPHIC = "“”„‟‘’‚‛«»"  # noqa: RUF001

Layer = Mapping[str, tuple[Any, str]]
"""Each setting with its raw value, and where exactly it was found."""


@dataclass
class SettingsFile:
    """What one file says. ``problems`` are what is wrong in it; the rest is good.

    Paths in ``layer`` are those of the file's own system; ``root`` is the folder with that system's files.
    """

    path: Path
    root: Path = Path("/")
    on_card: bool = False
    layer: dict[str, tuple[Any, str]] = field(default_factory=dict)
    problems: list[UsageError] = field(default_factory=list)


def under(root: Path, path: Path) -> Path:
    """Where the files below ``root`` have what their own system calls ``path``."""
    return path if root == Path("/") else root / str(path).lstrip("/")


def read(logical: Path, *, known: Sequence[str], root: Path = Path("/")) -> SettingsFile:
    """Read a file; one that does not exist says nothing.

    Args:
        logical: its path on its own system, whose files are below ``root``.
        known: the settings that there are.
    """
    path = under(root, logical)
    file = SettingsFile(path, root, on_card=logical == CARD)
    try:
        data = read_small(path)
    except (FileNotFoundError, NotADirectoryError):
        return file
    except OSError as error:
        file.problems.append(
            UsageError(
                f"{path} cannot be read: {os.strerror(error.errno or 0)}.",
                cure=f"run it with sudo, or let this user read the file: sudo chmod 644 {path}",
            )
        )
        return file
    for key, value in _document(data, file).items():
        setting = key.replace("-", "_")
        problem = _problem(file, key, setting, value, known)
        if problem is None:
            if file.on_card and setting in _FILES_ON_CARD and str(value).strip():
                value = str(CARD.parent / str(value))
            file.layer[setting] = (value, str(path))
        else:
            file.problems.append(problem)
    return file


def _document(data: bytes, file: SettingsFile) -> dict[str, Any]:
    # Imported here: most runs have no such file, and the import costs as much as two certificates do to read.
    import tomllib

    try:
        text = decoded(data)
    except UnicodeDecodeError as error:
        # Settings are ASCII, so that a comment in an old code page does no harm.
        text = data.decode("cp1252", "replace")
        line = data.count(b"\n", 0, error.start) + 1
        if not _is_ascii_but_for_comments(text):
            file.problems.append(
                UsageError(f"{file.path} is not UTF-8 in line {line}.", cure="save the file as plain text in UTF-8")
            )
    try:
        return tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except (ValueError, RecursionError) as error:
        broken = dict(_broken_lines(text, file.path))
        file.problems += broken.values() or [_not_toml(file.path, str(error)[:200])]
        return _whole_lines(text)


def _is_ascii_but_for_comments(text: str) -> bool:
    return all(line.partition("#")[0].isascii() for line in text.splitlines())


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.splitlines(), start=1)


def _parsed(line: str) -> dict[str, Any] | None:
    import tomllib

    try:
        return tomllib.loads(line)
    except (ValueError, RecursionError):
        return None


def _whole_lines(text: str) -> dict[str, Any]:
    """What the lines say that are TOML each by itself; the first wins."""
    document: dict[str, Any] = {}
    for _, line in _lines(text):
        for key, value in (_parsed(line) or {}).items():
            document.setdefault(key, value)
    return document


def _broken_lines(text: str, path: Path) -> Iterator[tuple[int, UsageError]]:
    for number, line in _lines(text):
        if _parsed(line) is not None:
            continue
        # The line itself is not shown: it may be the token's.
        if any(each in line for each in _TYPOGRAPHIC):
            yield (
                number,
                UsageError(
                    f'{path}, line {number}, has typographic quotes; TOML has straight ones: ".',
                    cure='write name = "pi-7" with a plain text editor',
                ),
            )
        else:
            yield number, _not_toml(path, f"line {number} is no setting")


def _not_toml(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} is not TOML: {why}.", cure='write lines such as: name = "pi-7"')


def _problem(file: SettingsFile, key: str, setting: str, value: Any, known: Sequence[str]) -> UsageError | None:
    path = file.path
    if setting not in known:
        allowed = ON_CARD if file.on_card else known
        names = ", ".join(name.replace("_", "-") for name in allowed)
        return UsageError(f"{path} has {key!r}, which is no setting.", cure=f"use one of {names}")
    if file.on_card and setting not in ON_CARD:
        names = ", ".join(name.replace("_", "-") for name in ON_CARD)
        return UsageError(
            f"{path} has {key}, which is not taken from the card: whoever holds it could lead this device astray.",
            cure=f"write it into {FILES[0]}, which root alone can change; the card may set {names}",
        )
    if isinstance(value, bool) and setting == "keep_token":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return UsageError(f"{key} in {path} is neither text nor a number.", cure=f'write {key} = "…"')
    if file.on_card and setting == "key" and not is_safe_key(str(value)):
        return UsageError(
            f"{path} has a key that is not taken from the card: its URI names a library, an engine or a file.",
            cure=f'key = "zymkey:slot=N" or "pkcs11:token=…" on the card; any other in {FILES[0]}',
        )
    if file.on_card and setting in _FILES_ON_CARD and not _is_on_card(str(value), file.root):
        return UsageError(
            f"{path} has {key}, which names a file that is not on the card; what is read goes to a server that the card"
            " names, too.",
            cure=f"put the file into {path.parent} and name it, or write {key} into {FILES[0]}",
        )
    return None


def is_safe_key(uri: str) -> bool:
    """Whether a key's URI makes this program load nothing and read no file: it may come from anybody.

    A module (``module-path``) or an engine is code, which root would run; a PIN file would be read as root.
    """
    if uri == "file:" or uri.startswith("zymkey:"):
        return True
    return uri.startswith("pkcs11:") and "?" not in uri


def _is_on_card(path: str, root: Path) -> bool:
    """Whether ``path``, which may be relative to the card's folder, is a file of the card's, however it is spelled."""
    if "\0" in path or path.startswith("~"):
        return False
    try:
        return under(root, CARD.parent / path).resolve().is_relative_to(under(root, CARD.parent).resolve())
    except (OSError, RuntimeError):
        return False


def look_alikes(files: Sequence[Path], misplaced: Sequence[Path] = _MISPLACED) -> list[str]:
    """A sentence for each file that somebody took for one of ``files``: hidden extensions, capitals, another folder."""
    found = []
    for path in files:
        wanted = path.name.lower()
        stem = wanted.removesuffix(".toml")
        taken_for_it = (wanted, f"{wanted}.txt", f"{wanted}.toml", f"{stem}.txt", stem, f"{stem}.tml")
        try:
            names = sorted(each.name for each in path.parent.iterdir())
        except OSError:
            continue
        # FAT does not tell capitals: there the file is the one that was read.
        found += [
            f"{path.parent / name} is not read; rename it: {path}"
            for name in names
            if name.lower() in taken_for_it
            and name != path.name
            and _is_file(path.parent / name)
            and not _is_same(path.parent / name, path)
        ]
    found += [
        f"{path} is not read; move it to {files[-1]}"
        for path in misplaced
        if _is_file(path) and not any(_is_same(path, each) for each in files)
    ]
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a folder that is closed to this user, who has not put it there
        return False


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False
