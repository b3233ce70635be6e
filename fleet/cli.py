"""The command line of ``zymkey-fleet``."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any

from fleet.errors import FleetError

# In the order in which an operator meets them. Each is a module of ``fleet.commands`` with two functions:
# ``arguments(parser)`` and ``run(options)``, which returns the exit code. A group ("ca") has ``COMMANDS`` of its own
# instead; each of them ("ca create") is a module as well (``ca_create``).
COMMANDS = {
    "invite": "let a new device in with a one-time token",
    "allow": "let a known key in, without any secret",
    "list": "all devices",
    "show": "one device, with each certificate that it ever had",
    "history": "what happened to one device",
    "block": "keep a device out, and switch its certificates off",
    "unblock": "let a blocked device in again",
    "remove": "forget a device, so that its name and key are free again",
    "pending": "who waits for an approval or a signature",
    "approve": "let in a key that nobody invited",
    "reject": "refuse a key that nobody invited",
    "export": "write the CSRs that wait for a signature into a folder",
    "sign": "sign the CSRs that wait with your own CA, and register the certificates",
    "import": "register certificates that were signed elsewhere",
    "audit": "find, and mend, where the ledger and AWS IoT do not agree",
    "verify": "prove that the deployment works, with a throw-away device",
    "ca": "your own CA: make, prove, check and retire one",
}

DESCRIPTION = "Let devices into a fleet on AWS IoT, keep them out, and see what became of them."
EPILOG = """\
examples:
  zymkey-fleet invite pi-1               print the one command to run on the Raspberry Pi
  zymkey-fleet allow pi-2 --key pi2.pem  let in the key of a device that was prepared elsewhere
  zymkey-fleet list                      see who is in
  zymkey-fleet block pi-1                a device is lost: no certificate of it works any more

exit codes:
  0  done
  1  refused: by the ledger, or by a check of the command
  2  the command line is wrong
  3  no such deployment, or one of another kind than the command needs
  4  no AWS credentials, or expired ones
  5  AWS does not permit it
  6  no answer, or throttled: try again later
  130  interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        options = _parser().parse_args(arguments)
        return _run(options)
    except FleetError as error:
        print(f"zymkey-fleet: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("zymkey-fleet: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader has gone (``zymkey-fleet list | head``); so that Python does not complain at exit, it is replaced.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(options: argparse.Namespace) -> int:
    # Not at the top: --help is to be instant, and failures knows the AWS SDK.
    from fleet.failures import explained

    with explained():
        code: int = options.run(options)
    sys.stdout.flush()
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="zymkey-fleet",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_commands(parser, COMMANDS, prefix="")
    return parser


def add_commands(parser: argparse.ArgumentParser, commands: dict[str, str], *, prefix: str) -> None:
    """Give a parser its commands; ``prefix`` is what their modules' names begin with."""
    subparsers = parser.add_subparsers(metavar="command", required=True, parser_class=CommandParser)
    for name, summary in commands.items():
        subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            module=prefix + name.replace("-", "_"),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )


class CommandParser(argparse.ArgumentParser):
    """The parser of one command. It loads the command's module when it is asked to parse, and not before."""

    def __init__(self, *args: Any, module: str, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._module: str | None = module

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._module is not None:
            # A module cannot be called by a word of the language: ``import`` is in import_.py.
            name = f"{self._module}_" if iskeyword(self._module) else self._module
            module = import_module(f"fleet.commands.{name}")
            if hasattr(module, "COMMANDS"):  # a group of commands, which knows nothing of parsers
                add_commands(self, module.COMMANDS, prefix=f"{self._module}_")
            else:
                module.arguments(self)
                self.set_defaults(run=module.run)
            self._module = None
        return super().parse_known_args(args, namespace)
