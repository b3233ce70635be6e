"""``zymkey-fleet remove``: remove a device, so that its name and its key are free again.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, Query, DeleteItem.
"""

import argparse
import time

from fleet.arguments import add_deployment, add_device, add_examples, add_json
from fleet.cures import if_not_removed
from fleet.deployment import open_deployment
from fleet.failures import explained
from fleet.output import print_json, print_line


def configure(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
A device that has enrolled must be blocked first, so that none of its certificates stays in use. Its certificates and
its history are kept: `zymkey-fleet history NAME`. Its thing stays in AWS IoT, with the fleet's mark, attributes and
groups, and with its certificates, which are INACTIVE: a device that gets this name later gets this thing. If it is to
go: detach what `aws iot list-thing-principals --thing-name=NAME` lists with `aws iot detach-thing-principal`, then
`aws iot delete-thing --thing-name=NAME`.
JSON: name, removed."""
    add_examples(parser, "zymkey-fleet block pi-1", "zymkey-fleet remove pi-1")


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    with explained(if_refused=lambda: if_not_removed(arguments.name, deployment.ledger)):
        deployment.ledger.remove(arguments.name, by=deployment.operator, now=int(time.time()))
    if arguments.json:
        print_json({"name": arguments.name, "removed": True})
    else:
        print_line(f"{arguments.name} is removed; its name and its key are free.")
    return 0
