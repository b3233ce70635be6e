"""``zymkey-fleet ca``: the CA of the fleet, where it is your own."""

import argparse

from fleet.cli import add_commands

COMMANDS = {
    "create": "make an example CA, for trying things out",
    "verification-csr": "print what a CA must sign before AWS IoT takes it",
    "check": "check a CA certificate, and its verification certificate, before they are deployed",
    "retire": "stop AWS IoT from registering certificates of an older CA",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    add_commands(parser, COMMANDS, prefix="ca_")
