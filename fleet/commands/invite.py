"""``zymkey-fleet invite``: let in the first key that shows a one-time token.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem.
"""

import argparse
import secrets
import time

from fleet.arguments import deployment_options, device_argument, duration, json_option
from fleet.deployment import open_deployment
from fleet.output import iso, note, print_json
from ledger.token import token_hash

# 256 bits: nobody guesses one, however long it is valid.
_TOKEN_BYTES = 32


def arguments(parser: argparse.ArgumentParser) -> None:
    device_argument(parser)
    parser.add_argument(
        "--expires",
        metavar="TIME",
        type=duration,
        default="24h",
        help="how long the token is good for, as in 90m, 24h or 7d (default: %(default)s)",
    )
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
Prints the one command to run on the Raspberry Pi. The token in it works once; it travels in the environment,
because the arguments of a process can be read by everybody on its machine. Inviting a name again replaces the
token. JSON: name, token, expires, command.

example:
  zymkey-fleet invite pi-1 --expires 7d"""


def run(options: argparse.Namespace) -> int:
    deployment = open_deployment(options)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    now = int(time.time())
    expires = now + options.expires
    deployment.ledger.invite(
        options.name,
        token_hash=token_hash(token),
        token_expires=expires,
        by=deployment.operator,
        now=now,
    )
    command = f"ZYMKEY_IOT_TOKEN={token} {deployment.bootstrap_command(options.name)}"
    if options.json:
        print_json({"name": options.name, "token": token, "expires": iso(expires), "command": command})
    else:
        note(f"Run this on the Raspberry Pi before {iso(expires)}; it works once:")
        print(command)
    return 0
