"""``zymkey-fleet show``: all that the ledger knows about one device.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query.
"""

import argparse
from collections.abc import Mapping
from typing import Any

from fleet.arguments import add_deployment, add_device, add_examples, add_json
from fleet.cures import SEE_ALL
from fleet.deployment import open_deployment
from fleet.errors import Refused
from fleet.output import iso, print_json, print_line, print_record, print_table
from fleet.things import shown_profile
from ledger import Certificate, Device


def configure(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
States of a certificate: recorded (signed, registration not complete), active (in use), superseded (replaced by a
renewal; it works for some days more), deactivated (switched off in AWS IoT), abandoned (never completed).
A removed device is shown with the certificates that it had.
Attributes and groups are those that `invite`, `allow`, `approve` or `set` gave to its thing in AWS IoT.
JSON: name, state (or "removed"), fingerprint, the times of the invitation and the CSR, attributes, groups,
certificates."""
    add_examples(parser, "zymkey-fleet show pi-1")


def run(arguments: argparse.Namespace) -> int:
    ledger = open_deployment(arguments).ledger
    device, certificates = ledger.device(arguments.name), ledger.certificates(arguments.name)
    if device is None and not certificates:
        raise Refused(
            f"There is no device {arguments.name!r}, and there never was one with a certificate.",
            cure=SEE_ALL,
        )
    shown = _device(arguments.name, device)
    if arguments.json:
        print_json(shown | {"certificates": [_certificate(each) for each in certificates]})
        return 0
    print_record(shown | {name: _in_words(shown[name]) for name in ("attributes", "groups") if name in shown})
    if certificates:
        print_line("")
        print_table(
            ["CERTIFICATE", "STATE", "NOT-BEFORE", "NOT-AFTER", "ISSUED-BY"],
            [
                [each.certificate_id, each.state, iso(each.not_before), iso(each.not_after), each.issued_by[:16]]
                for each in certificates
            ],
        )
    return 0


def _device(name: str, device: Device | None) -> dict[str, Any]:
    if device is None:
        return {"name": name, "state": "removed"}
    return {
        "name": device.name,
        "state": device.state,
        "fingerprint": device.fingerprint,
        "updated": iso(device.updated_at),
        "tokenExpires": iso(device.token_expires),
        "waitsForSignatureSince": iso(device.csr_at),
        **shown_profile(device.profile),
    }


def _in_words(content: Mapping[str, str] | list[str]) -> str | None:
    """The attributes or the groups of a thing in one line; None when there are none."""
    words = [f"{name}={value}" for name, value in content.items()] if isinstance(content, Mapping) else content
    return ", ".join(words) or None


def _certificate(certificate: Certificate) -> dict[str, Any]:
    return {
        "certificateId": certificate.certificate_id,
        "state": certificate.state,
        "serial": certificate.serial,
        "notBefore": iso(certificate.not_before),
        "notAfter": iso(certificate.not_after),
        "issuedBy": certificate.issued_by,
        "fingerprint": certificate.fingerprint,
        "updated": iso(certificate.updated_at),
        "pem": certificate.pem,
    }
