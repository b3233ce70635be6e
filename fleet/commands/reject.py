"""``zymkey-fleet reject``: refuse a key that waits for approval.

AWS actions: cloudformation:DescribeStacks, dynamodb:UpdateItem.
"""

import argparse
import time

from fleet.arguments import add_deployment, add_examples, add_fingerprint, add_json
from fleet.deployment import open_deployment
from fleet.failures import explained
from fleet.output import print_json, print_line


def configure(parser: argparse.ArgumentParser) -> None:
    add_fingerprint(parser)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
The key is refused for a week; then it may ask again. `allow` and `approve` reverse it.
JSON: fingerprint, rejected."""
    add_examples(parser, "zymkey-fleet reject SHA256:oFzWbBNQwlzQYkOb1bG3dsrKSSYbJTtJhw4hvx0Z7vY")


def run(arguments: argparse.Namespace) -> int:
    with explained(if_refused="zymkey-fleet pending, which shows the keys that wait"):
        open_deployment(arguments).ledger.reject(arguments.fingerprint, now=int(time.time()))
    if arguments.json:
        print_json({"fingerprint": arguments.fingerprint, "rejected": True})
    else:
        print_line(f"The key {arguments.fingerprint} is rejected.")
    return 0
