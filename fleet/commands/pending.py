"""``zymkey-fleet pending``: who waits for the operator.

AWS actions: cloudformation:DescribeStacks, dynamodb:Query on the table and on its index ``listing``.
"""

import argparse
import time

from fleet.arguments import deployment_options, json_option
from fleet.deployment import open_deployment
from fleet.output import iso, note, print_json, print_table
from fleet.waiting import waiting_devices, waiting_keys


def arguments(parser: argparse.ArgumentParser) -> None:
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
Two things can be waited for:
  signature  the CSR of a device that may enroll; your CA has to sign it: `zymkey-fleet sign`, or `export` and `import`
  approval   a key that nobody invited: `zymkey-fleet approve FINGERPRINT --name NAME`, or `reject FINGERPRINT`.
             Compare the fingerprint with what the device shows. The name is what the device calls itself: a wish.
JSON: a list of waitsFor, fingerprint, name, since."""


def run(options: argparse.Namespace) -> int:
    ledger = open_deployment(options).ledger
    rows = [("signature", each.fingerprint, each.name, each.csr_at) for each in waiting_devices(ledger)]
    rows += [
        ("approval", each.fingerprint, each.suggested_name, each.requested_at)
        for each in waiting_keys(ledger, now=int(time.time()))
    ]
    if options.json:
        print_json(
            [
                {"waitsFor": what, "fingerprint": fingerprint, "name": name, "since": iso(since)}
                for what, fingerprint, name, since in rows
            ]
        )
        return 0
    print_table(
        ["WAITS-FOR", "FINGERPRINT", "NAME", "SINCE"],
        [[what, fingerprint, name, iso(since)] for what, fingerprint, name, since in rows],
    )
    if not rows:
        note("Nobody waits.")
    return 0
