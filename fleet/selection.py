"""Which devices a command works on: names on the command line, a file of names, or what the devices are.

A selection is complete before anything is done: what a person said yes to is what happens, also when devices change
meanwhile, and also when the command changes what they were selected by. A name takes some 70 bytes of memory.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.arguments import device_name
from fleet.errors import Refused, UsageError
from fleet.filters import OPTIONS, add_filters, filtered, has_filters
from fleet.name_file import names_from
from fleet.output import note, print_table
from pki.names import DEVICE_NAME_RULE

if TYPE_CHECKING:
    from fleet.deployment import Deployment

# As many as a person reads before they say yes.
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The devices to work on.

    Attributes:
        names: each once: by name when they were chosen by a filter, else in the order given.
        is_single: one name was typed on the command line, and nothing else: the answer is that of one device.
        by_filter: they were chosen by what they are, so nobody has named them yet.
    """

    names: Sequence[str]
    is_single: bool = False
    by_filter: bool = False


def add_selection(parser: argparse.ArgumentParser, *, doing: str) -> None:
    """The options that choose devices, and --yes and --dry-run.

    Args:
        doing: what happens to the devices, as in "block".
    """
    parser.add_argument(
        "names",
        metavar="NAME",
        type=device_name,
        nargs="*",
        default=[],
        help=f"a device's name, {DEVICE_NAME_RULE}; several are possible",
    )
    parser.add_argument(
        "--from",
        metavar="FILE",
        dest="names_file",
        type=Path,
        help="a file of names: one a line, CSV (its column `name`, or its first), or JSON; - is standard input",
    )
    add_filters(parser)
    parser.add_argument(
        "--yes", action="store_true", help="do not ask; needed without a terminal where no names are given"
    )
    parser.add_argument("--dry-run", action="store_true", help=f"say which devices it would {doing}, and do nothing")


def selected(arguments: argparse.Namespace, deployment: Deployment) -> Selection:
    """The devices that the options of ``add_selection`` choose.

    Names are taken as they are: whether there is such a device is found out by the command. AWS actions are those of
    ``fleet.filters.filtered``, for filters alone.

    Raises:
        UsageError: neither names nor filters are given, or both.
        Refused: no device is chosen; the file cannot be used.
        ClientError, BotoCoreError: AWS does not answer, or refuses.
    """
    named = bool(arguments.names) or arguments.names_file is not None
    if named and has_filters(arguments):
        options = ", ".join(f"--{each.replace('_', '-')}" for each in OPTIONS)
        raise UsageError(
            f"Names and filters ({options}) do not go together: which devices are meant is not clear.",
            cure="name the devices, or give filters alone; `zymkey-fleet list` takes the same filters",
        )
    if named:
        file = names_from(arguments.names_file) if arguments.names_file is not None else []
        names = list(dict.fromkeys([*arguments.names, *file]))
        is_single = len(names) == 1 and arguments.names_file is None
        return _not_empty(Selection(names=names, is_single=is_single), "The file names no device.")
    if not has_filters(arguments):
        raise UsageError(
            "No device is named.", cure="give names, --from FILE, or a filter such as --state blocked; see --help"
        )
    names = [each.name for each in filtered(arguments, deployment)]
    return _not_empty(Selection(names=names, by_filter=True), "No device is what the filters say.")


def _not_empty(selection: Selection, cause: str) -> Selection:
    if not selection.names:
        raise Refused(cause, cure="zymkey-fleet list, with the same filters or none")
    return selection


def confirm(selection: Selection, arguments: argparse.Namespace, *, doing: str) -> None:
    """Ask the person at the terminal about devices that nobody has named; nothing is asked with --yes or --dry-run.

    Args:
        doing: as in "block".

    Raises:
        Refused: they do not say yes, or nobody is there.
    """
    if not selection.by_filter or arguments.yes or arguments.dry_run:
        return
    number = f"{len(selection.names)} device{'' if len(selection.names) == 1 else 's'}"
    if arguments.json or sys.stdin is None or not sys.stdin.isatty():
        raise Refused(
            f"{number} would be chosen to {doing}, and there is no terminal to ask on.",
            cure="run the same command again with --yes; --dry-run shows the devices",
        )
    print_table(["NAME"], [[each] for each in islice(selection.names, _SHOWN)])
    if len(selection.names) > _SHOWN:
        note(f"… and {len(selection.names) - _SHOWN} more; --dry-run shows all.")
    note(f"{doing.capitalize()} {number}? Type yes:")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was done.", cure="name the devices, or give other filters")
