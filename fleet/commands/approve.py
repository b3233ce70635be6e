"""``zymkey-fleet approve``: let in a key that nobody invited.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:DeleteItem, GetItem, PutItem.
"""

import argparse
import time

from fleet.arguments import deployment_options, device_name, fingerprint_argument, json_option
from fleet.deployment import open_deployment
from fleet.output import print_json
from pki.names import DEVICE_NAME_RULE


def arguments(parser: argparse.ArgumentParser) -> None:
    fingerprint_argument(parser)
    parser.add_argument(
        "--name", required=True, type=device_name, help=f"what the device is to be called: {DEVICE_NAME_RULE}"
    )
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
Compare the fingerprint with the one that the device shows: `zymkey-iot bootstrap` waits and prints it. The device
goes on by itself within a minute. If its CSR calls it by another name, it is refused and says so.
JSON: name, state, fingerprint."""


def run(options: argparse.Namespace) -> int:
    deployment = open_deployment(options)
    deployment.ledger.allow(
        options.name, fingerprint=options.fingerprint, by=deployment.operator, now=int(time.time()), approved=True
    )
    if options.json:
        print_json({"name": options.name, "state": "allowed", "fingerprint": options.fingerprint})
    else:
        print(f"The key {options.fingerprint} may enroll as {options.name}.")
    return 0
