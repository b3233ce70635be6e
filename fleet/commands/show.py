"""``zymkey-fleet show``: all that the ledger knows about one device, and when AWS IoT saw it last.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query, iot:SearchIndex.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.arguments import add_deployment, add_device, add_examples, add_json
from fleet.cures import SEE_ALL
from fleet.deployment import Deployment, open_deployment
from fleet.errors import FleetError, Refused
from fleet.failures import explained
from fleet.last_seen import connection
from fleet.output import iso, print_json, print_line, print_record, print_table
from fleet.things import shown_profile
from ledger import Certificate, Device, Event


def configure(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
States of a certificate: recorded (signed, registration not complete), active (in use), superseded (replaced by a
renewal; it works for some days more), deactivated (switched off in AWS IoT, and after
deleteAfterDays deleted there), abandoned (never completed).
A removed device is shown with the certificates that it had.
The connection is what the fleet index of AWS IoT knows, which does not see devices that use HTTPS alone.
Attributes and groups are those that `invite`, `allow`, `approve` or `set` gave to its thing in AWS IoT.
JSON: name, state (or "removed"), fingerprint, the times of the invitation, the CSR, the last enrollment and the last
renewal, when a renewal was asked for, when another key was let in instead (replaced), turn (when the device may come
again to be registered), attributes, groups, connection (connected and since; or unknown, which says why),
certificates (each also with deleted, when it left AWS IoT)."""
    add_examples(parser, "zymkey-fleet show pi-1")


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    ledger = deployment.ledger
    device, certificates = ledger.device(arguments.name), ledger.certificates(arguments.name)
    if device is None and not certificates:
        raise Refused(
            f"There is no device {arguments.name!r}, and there never was one with a certificate.",
            cure=SEE_ALL,
        )
    shown = _device(arguments.name, device, ledger.history(arguments.name))
    if device is not None and device.certificate_id is not None:
        shown["connection"] = _connection(deployment, device.name)
    if arguments.json:
        print_json(shown | {"certificates": [_certificate(each) for each in certificates]})
        return 0
    print_record(
        shown | {name: _in_words(shown[name]) for name in ("attributes", "groups", "connection") if name in shown}
    )
    if certificates:
        print_line("")
        print_table(
            ["CERTIFICATE", "STATE", "NOT-BEFORE", "NOT-AFTER", "ISSUED-BY", "DELETED"],
            [
                [
                    *(each.certificate_id, each.state, iso(each.not_before), iso(each.not_after)),
                    *(each.issued_by[:16], iso(each.deleted_at)),
                ]
                for each in certificates
            ],
        )
    return 0


def _device(name: str, device: Device | None, history: Sequence[Event]) -> dict[str, Any]:
    if device is None:
        return {"name": name, "state": "removed"}
    last = {event.what: event.at for event in history}  # oldest first, so the last one of each kind stays
    return {
        "name": device.name,
        "state": device.state,
        "fingerprint": device.fingerprint,
        "updated": iso(device.updated_at),
        "tokenExpires": iso(device.token_expires),
        "waitsForSignatureSince": iso(device.csr_at),
        "turn": iso(None if device.turn is None else device.turn // 1000),
        "renewalAskedAt": iso(device.renew_asked_at),
        "replaced": iso(device.replaced_at),
        "enrolled": iso(last.get("enrolled")),
        "renewed": iso(last.get("renewed")),
        **shown_profile(device.profile),
    }


def _connection(deployment: Deployment, name: str) -> dict[str, Any]:
    """What AWS IoT knows, or why it is not known: the rest of the answer does not depend on it."""
    try:
        with explained():
            found = connection(deployment, name)
    except FleetError as error:
        return {"unknown": error.in_one_line}
    return {"connected": found.connected, "since": iso(found.since)}


def _in_words(content: Mapping[str, Any] | list[str]) -> str | None:
    """A part of the answer in one line; None when there is nothing to say."""
    if not isinstance(content, Mapping):
        words = list(content)
    elif "unknown" in content:
        words = [f"unknown. {content['unknown']}"]
    elif "connected" in content:
        words = [
            "connected" if content["connected"] else "disconnected" if content["since"] else "never connected",
            *([f"since {content['since']}"] if content["since"] else []),
        ]
    else:
        words = [f"{name}={value}" for name, value in content.items()]
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
        "deleted": iso(certificate.deleted_at),
        "pem": certificate.pem,
    }
