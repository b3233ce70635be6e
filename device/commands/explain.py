"""Print the openssl and curl commands that do the same by hand, for this device and ready to paste.

They follow the vendor's documentation, with one correction: --cacert names Amazon's roots, because the CA that signs
the devices does not sign the certificate of AWS IoT's server.
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
