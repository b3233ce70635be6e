"""Print the openssl and curl commands that do the same by hand, ready to paste, for this very device.

They are the vendor's documented way, with what it gets wrong put right: the roots that verify AWS IoT's server
are Amazon's, and never the device's own CA.
"""

import argparse

from . import options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", nargs="?", help="the fleet's enrollment URL")
    parser.add_argument("--name", metavar="NAME", help="the device's name")
    options.add_key(parser)
    options.add_state(parser)
    options.add_connection(parser)
    options.add_examples(parser, "sudo zymkey-iot explain", "zymkey-iot explain --key zymkey:slot=1")


def run(arguments: argparse.Namespace) -> int:
    from ..explain import explain
    from ..settings import load

    print(explain(load(arguments)), end="")
    return 0
