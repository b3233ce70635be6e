"""``zymkey-fleet reject``: refuse a key that nobody invited.

AWS actions: cloudformation:DescribeStacks, dynamodb:UpdateItem.
"""

import argparse
import time

from fleet.arguments import deployment_options, fingerprint_argument, json_option
from fleet.deployment import open_deployment
from fleet.output import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    fingerprint_argument(parser)
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
The key is refused for a week, after which it may ask again. `allow` or `approve` takes it back.
JSON: fingerprint, rejected."""


def run(options: argparse.Namespace) -> int:
    open_deployment(options).ledger.reject(options.fingerprint, now=int(time.time()))
    if options.json:
        print_json({"fingerprint": options.fingerprint, "rejected": True})
    else:
        print(f"The key {options.fingerprint} is rejected.")
    return 0
