"""``zymkey-fleet approve``: let in a key that waits for approval.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:DeleteItem, GetItem, PutItem.
"""

import argparse
import time

from fleet.arguments import add_deployment, add_examples, add_fingerprint, add_json, device_name
from fleet.cures import SEE_WAITING, if_key_is_refused
from fleet.deployment import open_deployment
from fleet.failures import explained
from fleet.output import print_json, print_line
from fleet.things import add_thing_options, profile_of
from pki.names import DEVICE_NAME_RULE


def configure(parser: argparse.ArgumentParser) -> None:
    add_fingerprint(parser)
    parser.add_argument("--name", required=True, type=device_name, help=f"the device's new name: {DEVICE_NAME_RULE}")
    add_thing_options(parser)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
First compare the fingerprint with the one on the device: `zymkey-iot bootstrap` prints it while it waits. The device
goes on by itself within a minute. If its CSR has another name, the CSR is refused and the device says why.
JSON: name, state, fingerprint."""
    add_examples(
        parser,
        "zymkey-fleet pending",
        "zymkey-fleet approve SHA256:oFzWbBNQwlzQYkOb1bG3dsrKSSYbJTtJhw4hvx0Z7vY --name pi-1",
        "zymkey-fleet approve SHA256:oFzWbBNQwlzQYkOb1bG3dsrKSSYbJTtJhw4hvx0Z7vY --name pi-1 --group plant",
    )


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    name, fingerprint, ledger = arguments.name, arguments.fingerprint, deployment.ledger

    profile = profile_of(arguments, deployment)

    def cure() -> str:
        if all(each.fingerprint != fingerprint for each in ledger.requests()):
            return SEE_WAITING
        return if_key_is_refused(name, fingerprint, ledger, then=f"approve {fingerprint} --name={name}")

    with explained(if_refused=cure):
        ledger.allow(
            name,
            fingerprint=fingerprint,
            by=deployment.operator,
            now=int(time.time()),
            approved=True,
            profile=profile,
        )
    if arguments.json:
        print_json({"name": arguments.name, "state": "allowed", "fingerprint": arguments.fingerprint})
    else:
        print_line(f"The key {arguments.fingerprint} may enroll as {arguments.name}.")
    return 0
