"""``zymkey-fleet allow``: let one key in, without any secret.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:DeleteItem, GetItem, PutItem.
"""

import argparse
import time

from fleet.arguments import deployment_options, device_argument, json_option
from fleet.deployment import open_deployment
from fleet.output import print_json
from fleet.public_key import fingerprint_of


def arguments(parser: argparse.ArgumentParser) -> None:
    device_argument(parser)
    parser.add_argument(
        "--key",
        metavar="KEY",
        required=True,
        help="a PEM file with the public key, a CSR or a certificate; or a fingerprint, SHA256:…",
    )
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
The device shows its key with `zymkey-iot key`. Allowing the same key under the same name again changes nothing.
JSON: name, state, fingerprint, command.

example:
  zymkey-fleet allow pi-1 --key SHA256:oFzWbBNQwlzQYkOb1bG3dsrKSSYbJTtJhw4hvx0Z7vY"""


def run(options: argparse.Namespace) -> int:
    fingerprint = fingerprint_of(options.key)
    deployment = open_deployment(options)
    deployment.ledger.allow(options.name, fingerprint=fingerprint, by=deployment.operator, now=int(time.time()))
    command = deployment.bootstrap_command(options.name)
    if options.json:
        print_json({"name": options.name, "state": "allowed", "fingerprint": fingerprint, "command": command})
    else:
        print(f"The key {fingerprint} may enroll as {options.name}:")
        print(command)
    return 0
