"""``zymkey-fleet pending``: what waits for the operator.

AWS actions: cloudformation:DescribeStacks, dynamodb:Query on the table and on its index ``listing``.
"""

import argparse
import time

from fleet.arguments import add_deployment, add_examples, add_json
from fleet.deployment import open_deployment
from fleet.output import iso, note, print_json, print_table
from fleet.waiting import waiting_devices, waiting_keys


def configure(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
WAITS-FOR is one of:
  signature  the CSR of a device that may enroll. Have your CA sign it: `zymkey-fleet sign`, or `export` and `import`.
  approval   a key without an invitation: `zymkey-fleet approve FINGERPRINT --name NAME`, or `reject FINGERPRINT`.
             Compare the fingerprint with the one that the device shows. The name in the list is the device's own
             suggestion; you decide. FROM is the address that asked: `reject --from ADDRESS` refuses all of it.
JSON: a list of waitsFor, fingerprint, name, since, from."""
    add_examples(parser, "zymkey-fleet pending")


def run(arguments: argparse.Namespace) -> int:
    ledger = open_deployment(arguments).ledger
    rows = [("signature", each.fingerprint, each.name, each.csr_at, "") for each in waiting_devices(ledger)]
    rows += [
        ("approval", each.fingerprint, each.suggested_name, each.requested_at, each.source)
        for each in waiting_keys(ledger, now=int(time.time()))
    ]
    if arguments.json:
        print_json(
            [
                {
                    "waitsFor": what,
                    "fingerprint": fingerprint,
                    "name": name,
                    "since": iso(since),
                    "from": source or None,
                }
                for what, fingerprint, name, since, source in rows
            ]
        )
        return 0
    print_table(
        ["WAITS-FOR", "FINGERPRINT", "NAME", "SINCE", "FROM"],
        [[what, fingerprint, name, iso(since), source] for what, fingerprint, name, since, source in rows],
    )
    if not rows:
        note("Nothing waits for you.")
    return 0
