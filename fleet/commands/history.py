"""``zymkey-fleet history``: what happened to one device.

AWS actions: cloudformation:DescribeStacks, dynamodb:Query.
"""

import argparse

from fleet.arguments import add_deployment, add_device, add_examples, add_json
from fleet.cures import SEE_ALL
from fleet.deployment import open_deployment
from fleet.errors import Refused
from fleet.output import iso, print_json, print_table


def configure(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
The oldest event comes first. The history of a removed device is kept.
JSON: a list of at, what, by, detail."""
    add_examples(parser, "zymkey-fleet history pi-1")


def run(arguments: argparse.Namespace) -> int:
    events = open_deployment(arguments).ledger.history(arguments.name)
    if not events:
        raise Refused(
            f"There is no device {arguments.name!r}, and there never was one.",
            cure=SEE_ALL,
        )
    if arguments.json:
        print_json([{"at": iso(each.at), "what": each.what, "by": each.by, "detail": each.detail} for each in events])
    else:
        print_table(
            ["TIME", "WHAT", "BY", "DETAIL"], [[iso(each.at), each.what, each.by, each.detail] for each in events]
        )
    return 0
