"""``zymkey-fleet show``: all that the ledger knows of one device.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query.
"""

import argparse
from typing import Any

from fleet.arguments import deployment_options, device_argument, json_option
from fleet.deployment import open_deployment
from fleet.errors import Refused
from fleet.output import iso, print_json, print_record, print_table
from ledger import Certificate, Device


def arguments(parser: argparse.ArgumentParser) -> None:
    device_argument(parser)
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
A certificate's state: recorded (signed, and being registered), active (the device's own), superseded (a renewal has
taken its place; it still works for a while), deactivated (switched off in AWS IoT), abandoned (never finished).
A device that was removed is shown with the certificates that it had.
JSON: name, state (or "removed"), fingerprint, the times of the invitation and the CSR, certificates."""


def run(options: argparse.Namespace) -> int:
    ledger = open_deployment(options).ledger
    device, certificates = ledger.device(options.name), ledger.certificates(options.name)
    if device is None and not certificates:
        raise Refused(f"There is no device {options.name!r}, and there never was one with a certificate.")
    shown = _device(options.name, device)
    if options.json:
        print_json(shown | {"certificates": [_certificate(each) for each in certificates]})
        return 0
    print_record(shown)
    if certificates:
        print()
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
    }


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
