"""Passphrases and PINs: from a file, from the environment, or typed; never from the command line."""

import argparse
import codecs
import getpass
import os
import sys
from pathlib import Path

from fleet.errors import Refused
from fleet.files import read
from fleet.redaction import keep_out

VARIABLE = "ZYMKEY_FLEET_PASSPHRASE"


def add_passphrase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase-file",
        metavar="FILE",
        type=Path,
        help=f"a file whose first line is the passphrase of the CA key (default: ${VARIABLE}, or the command asks)",
    )


def passphrase(what: str, *, file: Path | None, variable: str = VARIABLE, repeat: bool = False) -> bytes:
    """A secret from the file, else from the environment variable, else typed on the terminal.

    Args:
        what: what it opens, for the question.
        repeat: it is a new one, so it is typed twice.

    Raises:
        Refused: it is empty, the two differ, or there is no terminal to type on.
    """
    if file is not None:
        text = _first_line(read(file, "passphrase file"))
    elif variable in os.environ:
        text = os.environb[variable.encode()]
    else:
        text = _typed(what, variable, repeat=repeat)
    if not text:
        raise Refused(f"The {what} is empty.", cure=_set(variable))
    keep_out(text)
    return text


def _first_line(content: bytes) -> bytes:
    """Without what editors write around it: a byte order mark, the line's end; UTF-16, as Windows writes files."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", "replace").encode()
    return content.removeprefix(codecs.BOM_UTF8).split(b"\n")[0].rstrip(b"\r")


def _typed(what: str, variable: str, *, repeat: bool) -> bytes:
    if sys.stdin is None or not sys.stdin.isatty():
        raise Refused(f"The {what} is needed, and there is no terminal to ask on.", cure=_set(variable))
    try:
        typed = getpass.getpass(f"{what}: ")
        again = getpass.getpass(f"{what}, again: ") if repeat else typed
    except (EOFError, UnicodeDecodeError):  # Ctrl-D, or a character that the terminal's locale has not
        raise Refused(f"The {what} was not typed, or not in UTF-8.", cure=_set(variable)) from None
    if again != typed:
        raise Refused("The two entries differ.", cure="run the same command again, and type the same twice")
    return typed.encode("utf-8", "surrogateescape")


def _set(variable: str) -> str:
    return f"set ${variable}, or write it into the first line of a file and name that file"
