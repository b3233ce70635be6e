"""``zymkey-fleet list``: all devices.

AWS actions: cloudformation:DescribeStacks, dynamodb:Query on the table's index ``listing``.
"""

import argparse
import time
from typing import Any

from fleet.arguments import add_deployment, add_examples, add_json
from fleet.deployment import open_deployment
from fleet.output import iso, note, print_json, print_table
from ledger import Device, State


def configure(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
States: invited (has not enrolled yet), pending (enrolls now, or waits for a signature), enrolled, blocked.
The list can be a moment behind the latest change.
JSON: a list of name, state, fingerprint, certificateId, certificateExpires, tokenExpires."""
    add_examples(parser, "zymkey-fleet list", "zymkey-fleet list --json | jq -r '.[].name'")


def run(arguments: argparse.Namespace) -> int:
    devices = list(open_deployment(arguments).ledger.devices())
    if arguments.json:
        print_json([_as_json(device) for device in devices])
        return 0
    now = int(time.time())
    print_table(
        ["NAME", "STATE", "FINGERPRINT", "CERTIFICATE-EXPIRES"],
        [[each.name, _state(each, now), each.fingerprint or "", iso(each.not_after) or ""] for each in devices],
    )
    if not devices:
        note("There are no devices yet. Let one in with `zymkey-fleet invite NAME`.")
    return 0


def _state(device: Device, now: int) -> str:
    """One word a column, so that columns can be cut: hence the hyphen."""
    if device.state is State.INVITED and device.token_expires is not None and device.token_expires <= now:
        return "invited-expired"
    return device.state


def _as_json(device: Device) -> dict[str, Any]:
    return {
        "name": device.name,
        "state": device.state,
        "fingerprint": device.fingerprint,
        "certificateId": device.certificate_id,
        "certificateExpires": iso(device.not_after),
        "tokenExpires": iso(device.token_expires),
    }
