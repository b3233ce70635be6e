"""``zymkey-fleet invite``: let in the first key that shows a one-time token.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem.
"""

import argparse
import time

from fleet.arguments import add_deployment, add_device, add_examples, add_json, duration
from fleet.cures import if_name_is_taken, positional
from fleet.deployment import open_deployment
from fleet.failures import explained
from fleet.output import iso, note, print_json, print_line
from fleet.things import add_thing_options, profile_of
from ledger.token import new_token, token_hash


def configure(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    parser.add_argument(
        "--expires",
        metavar="TIME",
        type=duration,
        default="24h",
        help="how long the token is valid, such as 90m, 24h or 7d (default: %(default)s)",
    )
    add_thing_options(parser)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
Prints the one command to run on the Raspberry Pi and, on a line of its own, the token to paste when the command asks
for it: so it is in no shell's history and no list of processes. The token works once. A second invitation of the same
name replaces the token of the first, and without --attribute and --group keeps those of the first.
JSON: name, token, expires, command."""
    add_examples(
        parser,
        "zymkey-fleet invite pi-1",
        "zymkey-fleet invite pi-1 --expires 7d",
        "zymkey-fleet invite pi-1 --attribute site=berlin --attribute hall=7 --group plant",
    )


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    token = new_token()
    now = int(time.time())
    expires = now + arguments.expires
    name, ledger = arguments.name, deployment.ledger
    profile = profile_of(arguments, deployment)
    with explained(if_refused=lambda: if_name_is_taken(name, ledger, then=f"invite {positional(name)}")):
        deployment.ledger.invite(
            arguments.name,
            token_hash=token_hash(token),
            token_expires=expires,
            by=deployment.operator,
            now=now,
            profile=profile,
        )
    command = f"{deployment.bootstrap_command(arguments.name)} --token-file -"
    if arguments.json:
        print_json({"name": arguments.name, "token": token, "expires": iso(expires), "command": command})
    else:
        note(f"Run this on the Raspberry Pi before {iso(expires)}, as root, or with sudo in front of it:")
        print_line(command)
        note("It asks for this token, which works once:")
        print_line(token)
    return 0
