"""``zymkey-fleet remove``: forget a device, so that its name and its key are free again.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, Query, DeleteItem.
"""

import argparse
import time

from fleet.arguments import deployment_options, device_argument, json_option
from fleet.deployment import open_deployment
from fleet.output import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    device_argument(parser)
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
A device that has come must be blocked first, so that none of its certificates is left in use. Its certificates
and its history stay on record: `zymkey-fleet history NAME`.
JSON: name, removed."""


def run(options: argparse.Namespace) -> int:
    deployment = open_deployment(options)
    deployment.ledger.remove(options.name, by=deployment.operator, now=int(time.time()))
    if options.json:
        print_json({"name": options.name, "removed": True})
    else:
        print(f"{options.name} is removed; its name and its key are free.")
    return 0
