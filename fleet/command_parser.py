"""The parsers of the commands, each of which loads its command's module only when it is asked to parse.

A command is a module of ``fleet.commands`` with ``configure(parser)`` and ``run(arguments) -> exit code``. A group of
commands ("ca") is a module with ``COMMANDS``, each of which ("ca create") is a module as well (``ca_create``).
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any, NoReturn

from fleet.errors import UsageError
from fleet.text import printable


def add_commands(parser: argparse.ArgumentParser, commands: Mapping[str, str], *, prefix: str) -> None:
    """Give a parser its commands; ``prefix`` is what their modules' names begin with."""
    subparsers = parser.add_subparsers(metavar="command", required=True, parser_class=CommandParser)
    for name, summary in commands.items():
        subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            module=prefix + name.replace("-", "_"),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )


# One hyphen: a long option that is misspelt is no name.
_UNKNOWN_SHORT_OPTION = re.compile("unrecognized arguments: -[^-]")


class SafeParser(argparse.ArgumentParser):
    """A parser whose usage errors are safe to print: argparse quotes words of the command line as they are."""

    words: Sequence[str] = ()  # what it was asked to parse

    def error(self, message: str) -> NoReturn:
        is_missing = "arguments are required" in message or message.endswith("is required")
        if (is_missing and any(map(_is_name_like_an_option, self.words))) or _UNKNOWN_SHORT_OPTION.match(message):
            message += "; a name that begins with a hyphen comes last, after --"
        if "--json" in self.words:
            # Imported here: --help does without it.
            from fleet.output import print_json_error

            print_json_error(UsageError(f"{message}.", cure=f"{self.prog} --help"))
        super().error(printable(message))


def _is_name_like_an_option(word: str) -> bool:
    return word.startswith("-") and word != "--" and (not word.startswith("--") or "=" not in word)


class CommandParser(SafeParser):
    """The parser of one command. ``zymkey-fleet --help`` must be instant, so it loads the module late."""

    def __init__(self, *args: Any, module: str, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._module: str | None = module

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._module is not None:
            # A module cannot be called by a word of the language: ``import`` is in import_.py.
            name = f"{self._module}_" if iskeyword(self._module) else self._module
            module = import_module(f"fleet.commands.{name}")
            if hasattr(module, "COMMANDS"):  # a group, which knows nothing of parsers
                add_commands(self, module.COMMANDS, prefix=f"{self._module}_")
            else:
                module.configure(self)
                self.set_defaults(run=module.run)
            self._module = None
        self.words = args or ()
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:  # told here, since the parser above it would show how the whole command is used
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown
