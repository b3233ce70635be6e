"""``zymkey-fleet history``: what happened to one device.

AWS actions: cloudformation:DescribeStacks, dynamodb:Query.
"""

import argparse

from fleet.arguments import deployment_options, device_argument, json_option
from fleet.deployment import open_deployment
from fleet.errors import Refused
from fleet.output import iso, print_json, print_table


def arguments(parser: argparse.ArgumentParser) -> None:
    device_argument(parser)
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
Oldest first, also of a device that was removed. JSON: a list of at, what, by, detail."""


def run(options: argparse.Namespace) -> int:
    events = open_deployment(options).ledger.history(options.name)
    if not events:
        raise Refused(f"There is no device {options.name!r}, and there never was one.")
    if options.json:
        print_json([{"at": iso(each.at), "what": each.what, "by": each.by, "detail": each.detail} for each in events])
    else:
        print_table(
            ["TIME", "WHAT", "BY", "DETAIL"], [[iso(each.at), each.what, each.by, each.detail] for each in events]
        )
    return 0
