"""``zymkey-fleet allow``: let one key in, without a secret.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:DeleteItem, GetItem, PutItem.
"""

import argparse
import time

from fleet.arguments import add_deployment, add_device, add_examples, add_json
from fleet.cures import if_key_is_refused, positional
from fleet.deployment import open_deployment
from fleet.failures import explained
from fleet.output import print_json, print_line
from fleet.public_key import fingerprint_of
from fleet.things import add_thing_options, profile_of


def configure(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    parser.add_argument(
        "--key",
        metavar="KEY",
        required=True,
        help="a PEM file with the public key, a CSR or a certificate; or a fingerprint, SHA256:…",
    )
    add_thing_options(parser)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
`zymkey-iot key` shows the key on the device. To allow the same key under the same name again changes nothing;
`zymkey-fleet set` changes attributes and groups.
JSON: name, state, fingerprint, command."""
    add_examples(
        parser,
        "zymkey-fleet allow pi-1 --key SHA256:oFzWbBNQwlzQYkOb1bG3dsrKSSYbJTtJhw4hvx0Z7vY",
        "zymkey-fleet allow pi-2 --key pi-2.csr --attribute site=berlin --group plant",
    )


def run(arguments: argparse.Namespace) -> int:
    fingerprint = fingerprint_of(arguments.key)
    deployment = open_deployment(arguments)
    name, ledger = arguments.name, deployment.ledger
    profile = profile_of(arguments, deployment)
    then = f"allow --key {fingerprint} {positional(name)}"
    with explained(if_refused=lambda: if_key_is_refused(name, fingerprint, ledger, then=then)):
        ledger.allow(name, fingerprint=fingerprint, by=deployment.operator, now=int(time.time()), profile=profile)
    command = deployment.bootstrap_command(arguments.name)
    if arguments.json:
        print_json({"name": arguments.name, "state": "allowed", "fingerprint": fingerprint, "command": command})
    else:
        print_line(f"The key {fingerprint} may enroll as {arguments.name}:")
        print_line(command)
    return 0
