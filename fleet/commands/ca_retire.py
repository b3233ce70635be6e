"""``zymkey-fleet ca retire``: stop AWS IoT from registering certificates of a CA.

The command makes the CA INACTIVE at once, and prints the setting that keeps it so: CloudFormation sends the status that
the template declares whenever something about the registration changes.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query on the index ``listing``, iot:ListCACertificates,
DescribeCACertificate, ListTagsForResource, UpdateCACertificate.
"""

import argparse
import time
from typing import Any

from fleet.arguments import add_deployment, add_examples, add_json
from fleet.authorities import FleetAuthority, authorities_of, called, issuing
from fleet.ca_holders import holders
from fleet.deployment import Deployment, open_deployment
from fleet.errors import Refused
from fleet.output import print_json, print_line
from ledger import Ledger

_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        help="a CA's name in cdk.json; for an external CA, its certificate's common name, or the certificate's id",
    )
    parser.add_argument(
        "--force", action="store_true", help="retire the CA although it issues or is in use: its key is lost or stolen"
    )
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
After a rotation: the command refuses to retire the newest CA, which issues, and a CA while devices hold unexpired
certificates of it. Devices renew by themselves at two thirds of their certificate's life.

Write the setting that the command prints into cdk.json, and deploy: a deployment without it is refused when it would
make the CA active again. A retired CA may also be removed from cdk.json; its registration and its key in KMS are
retained, and the key costs money until you schedule its deletion.

After a theft (--force): AWS IoT registers no further certificate of the CA. Certificates that are registered already
go on working: look at `audit` and `list` next, and `block` each device that is not yours. New certificates need another
CA: add one to cdk.json in the same deployment.
JSON: name, certificateIds, retired, setting (what cdk.json has to say)."""
    add_examples(parser, "zymkey-fleet ca retire 2026", "zymkey-fleet ca retire 'Acme device CA' --force")


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    authorities = authorities_of(deployment)
    of_this_name = called(arguments.name, authorities)
    if not arguments.force:
        issues = issuing(authorities, deployment.outputs.issuer)
        of_this_name = [each for each in of_this_name if each is not issues]
        _refuse_to_retire_the_needed(arguments.name, of_this_name, deployment.ledger)
    retired = [each.certificate_id for each in of_this_name]
    for identifier in retired:
        _deactivate(identifier, deployment)
    setting: dict[str, Any] = {}
    for each in of_this_name:
        setting |= each.setting
    if arguments.json:
        print_json({"name": arguments.name, "certificateIds": retired, "retired": True, "setting": setting})
    else:
        print_line(f"The CA {arguments.name!r} is retired: AWS IoT registers no more of its certificates.")
        for place in sorted({each.place for each in of_this_name}):
            print_line(
                f'If cdk.json names it, add "retired": true to {place} there, and deploy; '
                "a deployment without this is refused when it would make the CA active again."
            )
    return 0


def _refuse_to_retire_the_needed(name: str, older: list[FleetAuthority], ledger: Ledger) -> None:
    if not older:
        raise Refused(
            f"The CA {name!r} is the newest, which issues.",
            cure="add another CA to cdk.json and deploy first; if the key is stolen, add --force",
        )
    now = int(time.time())
    named, number = [], 0
    for each in older:
        for device, _ in holders(each.certificate_id, ledger, now=now):
            number += 1
            if number <= _SHOWN:
                named.append(device.name)
    if number:
        more = f" and {number - _SHOWN} more" if number > _SHOWN else ""
        raise Refused(
            f"Certificates of the CA {name!r} are still held by {', '.join(named)}{more}.",
            cure="wait until these devices have renewed (`zymkey-fleet ca rotate` counts them, and says how to hasten "
            "them); if the key is stolen, add --force",
        )


def _deactivate(identifier: str, deployment: Deployment) -> None:
    try:
        deployment.iot.update_ca_certificate(certificateId=identifier, newStatus="INACTIVE")
    except deployment.iot.exceptions.ResourceNotFoundException:
        raise Refused(
            f"AWS IoT has no CA certificate {identifier}.",
            cure="check --region and --profile; somebody may have deleted the CA in AWS IoT",
        ) from None
