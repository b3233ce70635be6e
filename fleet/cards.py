"""A folder of ready files for SD cards: ``DIR/NAME/zymkey-iot.toml`` goes onto the boot partition of NAME's card.

A card with a token is a secret: folders are only their owner's, no link is followed, and a file appears as a whole.
``docs/device.md`` has what a device reads of it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from fleet.errors import Refused

FILE = "zymkey-iot.toml"
# Always the same name, so that what a crash leaves is written over. Hidden: DIR/NAME/* is what a jig copies.
_BEGUN = f".{FILE}.new"
_LONGEST = 1 << 16
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a device's card says."""

    url: str
    name: str
    token: str | None = None
    expires: str | None = None  # of the token, for the person who finds the card

    @property
    def text(self) -> str:
        """As TOML, whose basic strings take the escapes of JSON in ASCII."""
        settings = {"url": self.url, "name": self.name} | ({"token": self.token} if self.token else {})
        secret = f"The token works once, until {self.expires}." if self.token else "Nothing here is secret."
        lines = [f"# For the SD card's boot partition: /boot/firmware/{FILE}. {secret}"]
        return "\n".join([*lines, *(f"{name} = {json.dumps(value)}" for name, value in settings.items()), ""])


def add_cards(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cards",
        metavar="DIR",
        type=_folder,
        help=f"write DIR/NAME/{FILE} for the boot partition of each device's SD card",
    )


def _folder(text: str) -> Path:
    if not text:  # a variable of the shell that is not set; Path would take the folder that the command is typed in
        raise argparse.ArgumentTypeError("the folder has no name")
    return Path(text)


def open_cards(folder: Path | None) -> AbstractContextManager[Cards | None]:
    """What ``--cards`` names; None where it was not given."""
    return nullcontext() if folder is None else Cards(folder)


class Cards:
    """The folder, made if there is none. To be used in a ``with`` block, by one thread or several.

    Raises:
        Refused: it cannot be made or used, is a link, others may write to it, or another command does.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._told(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(folder, _FOLDER)
        try:
            self._check()
        except BaseException:
            os.close(self._descriptor)
            raise

    def _check(self) -> None:
        found = os.fstat(self._descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Refused(
                f"The folder {str(self._folder)!r} is another user's, or others may write to it; cards hold secrets.",
                cure=f"name a new folder, or `chmod 700` this one if it is yours: {self._folder}",
            )
        try:
            # Of two at once, each with new tokens, the one would write the card and the other the ledger at last.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"Another command writes cards into {str(self._folder)!r}.", cure="wait for it, or name another folder"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._descriptor)

    def path(self, name: str) -> Path:
        return self._folder / name / FILE

    def read(self, name: str) -> str | None:
        """The text of a device's card; None when there is none yet.

        Raises:
            Refused: it cannot be read, or is the card of another device: on a disk that does not tell capitals.
        """
        with self._told(self.path(name)):
            try:
                with self._folder_of(name) as folder:
                    descriptor = os.open(
                        FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
                    )
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                text = file.read(_LONGEST).decode("utf-8", "replace")
        of = _settings(text).get("name")
        if of is not None and of != name:
            raise Refused(
                f"{str(self.path(name))!r} is the card of {of!r}, and stays that.",
                cure="name another folder, or give the device another name",
            )
        return text

    def write(self, card: Card) -> None:
        """Write a device's card in place of the one before; a crash leaves the one or the other.

        Raises:
            Refused: it cannot be written.
        """
        with self._told(self.path(card.name)):
            with suppress(FileExistsError):
                os.mkdir(card.name, 0o700, dir_fd=self._descriptor)
                os.fsync(self._descriptor)
            with self._folder_of(card.name) as folder:
                with suppress(FileNotFoundError):
                    os.unlink(_BEGUN, dir_fd=folder)
                mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(_BEGUN, mode, 0o600, dir_fd=folder)
                try:
                    with os.fdopen(descriptor, "wb") as file:
                        file.write(card.text.encode("ascii"))
                        file.flush()
                        os.fsync(file.fileno())
                    os.rename(_BEGUN, FILE, src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    with suppress(OSError):
                        os.unlink(_BEGUN, dir_fd=folder)
                    raise
                os.fsync(folder)

    @contextmanager
    def _folder_of(self, name: str) -> Iterator[int]:
        descriptor = os.open(name, _FOLDER, dir_fd=self._descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _told(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # ELOOP and ENOTDIR are what O_NOFOLLOW says of links.
            what = "a link is in the way" if path.is_symlink() or path.parent.is_symlink() else error.strerror
            raise Refused(
                f"The card {str(path)!r} cannot be kept: {what}.",
                cure="name a new folder, on a disk with room",
            ) from None


def token_of(text: str | None) -> str | None:
    """The token of a card's text, if it has one."""
    return _settings(text or "").get("token") or None


def _settings(text: str) -> dict[str, str]:
    """What a card says; nothing if somebody has made it no TOML."""
    try:
        return {name: value for name, value in tomllib.loads(text).items() if isinstance(value, str)}
    except (ValueError, RecursionError):
        return {}
