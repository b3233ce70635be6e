"""``zymkey-fleet ca rotate``: how far the rotation of a CA is, and what to do next. It changes nothing.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query on the index ``listing``, iot:ListCACertificates,
DescribeCACertificate, ListTagsForResource, kms:DescribeKey.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from fleet.arguments import add_deployment, add_examples, add_json
from fleet.authorities import ACTIVE, FleetAuthority, authorities_of, called, declared_authorities, issuing
from fleet.ca_holders import count_holders
from fleet.deployment import Deployment, open_deployment
from fleet.failures import DENIED_CODES
from fleet.output import iso, print_json, print_line
from fleet.rotation import Rotation, Step, StepState, setting_text
from pki.fingerprint import certificate_id
from pki.issuers import AMAZON
from pki.received_certificate import subject_of


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="the CA to replace, by its name in cdk.json; an external CA by its common name, or its certificate's id "
        "(default: the oldest that another one has followed and that is not retired for good, else the one that "
        "issues)",
    )
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
Looks at the deployment, and says of each step of a rotation whether it is done, can be done now, or comes later, with
what to type. It remembers nothing and changes nothing: type it again after each step, or every day while devices renew.
The exit code is 0 when no step is left, else 1, as `audit` has it.

Steps: successor (another CA issues), devices (none holds a certificate of the old one), retire (AWS IoT registers no
more of it), setting (cdk.json says so, and is deployed), key (its key in KMS is on its way out). A CA whose key is
stolen: `ca retire NAME --force` first; docs/operator.md, "A CA is stolen".
JSON: name, certificateId, issuer, successor (name and certificateId, or null: none, or Amazon's), left (devices, and of
these current, superseded, unfinished; lastDue, lastEnds), steps (id, state, what, type, setting), done. With the issuer
aws and no CA of yours: name null, no steps, done true."""
    add_examples(
        parser,
        "zymkey-fleet ca rotate",
        "zymkey-fleet ca rotate 2026",
        "zymkey-fleet ca rotate 2026 --json | jq .left.devices",
    )


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    authorities = authorities_of(deployment)
    issuer = deployment.outputs.issuer
    if not authorities and arguments.name is None:
        return _no_authority(issuer, arguments)
    issues = issuing(authorities, issuer)
    declared = {certificate_id(each) for each in declared_authorities(deployment)}
    candidates = authorities if arguments.name is None else called(arguments.name, authorities)
    chosen = _chosen(candidates, issues, declared, deployment)
    now = int(time.time())
    rotation = Rotation(
        authority=chosen,
        issuer=issuer,
        successor=None if issues is chosen else issues,
        holders=count_holders(chosen.certificate_id, deployment.ledger, now=now),
        is_declared=chosen.certificate_id in declared,
        key_state=_key_state(chosen, deployment),
        names=frozenset(each.name for each in authorities if each.in_kms is not None),
        year=time.gmtime(now).tm_year,
    )
    if arguments.json:
        print_json(_document(rotation))
    else:
        _print(rotation)
    return 0 if rotation.is_done else 1


def _chosen(
    candidates: Sequence[FleetAuthority], issues: FleetAuthority | None, declared: set[str], deployment: Deployment
) -> FleetAuthority:
    """The oldest that another one has followed and of which something is left; else the last that was rotated.

    What is left is guessed without a look at the devices: a CA is retired after them.
    """
    followed = [each for each in candidates if each is not issues]
    for each in followed:
        if each.status == ACTIVE or each.certificate_id in declared or not _is_key_gone(each, deployment):
            return each
    return followed[-1] if followed else candidates[-1]


def _is_key_gone(authority: FleetAuthority, deployment: Deployment) -> bool:
    return authority.in_kms is None or (_key_state(authority, deployment) or "").startswith(("Pending", "deleted"))


def _key_state(authority: FleetAuthority, deployment: Deployment) -> str | None:
    """As ``Rotation`` has it. A deployment of an earlier release lets nobody but administrators ask."""
    if authority.in_kms is None:
        return None
    kms = deployment.session.client("kms")
    try:
        return str(kms.describe_key(KeyId=authority.in_kms.key_arn)["KeyMetadata"]["KeyState"])
    except kms.exceptions.NotFoundException:
        return "deleted"
    except ClientError as error:
        if error.response["Error"]["Code"] in DENIED_CODES:
            return None
        raise


def _no_authority(issuer: str, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json({"name": None, "issuer": issuer, "successor": None, "left": None, "steps": [], "done": True})
    elif issuer == AMAZON:
        print_line("Amazon's CA signs (issuer: aws): there is no CA of yours, and nothing to rotate.")
    else:
        print_line("This deployment has no CA yet: nothing to rotate.")
    return 0


def _document(rotation: Rotation) -> dict[str, Any]:
    authority, successor, left = rotation.authority, rotation.successor, rotation.holders
    return {
        "name": authority.name,
        "certificateId": authority.certificate_id,
        "issuer": rotation.issuer,
        "successor": None if successor is None else {"name": successor.name, "certificateId": successor.certificate_id},
        "left": {
            "devices": left.devices,
            "current": left.current,
            "superseded": left.superseded,
            "unfinished": left.unfinished,
            "lastDue": iso(left.last_due),
            "lastEnds": iso(left.last_ends),
        },
        "steps": [
            {
                "id": step.id,
                "state": step.state,
                "what": step.what,
                "type": list(step.commands) if step.state is StepState.NOW else [],
                "setting": step.setting if step.state is StepState.NOW else None,
            }
            for step in rotation.steps
        ],
        "done": rotation.is_done,
    }


def _print(rotation: Rotation) -> None:
    authority = rotation.authority
    print_line(f"The CA {authority.name!r} ({subject_of(authority.certificate)})")
    for step in rotation.steps:
        _print_step(step)
    if rotation.is_done:
        print_line("Nothing is left to do.")


def _print_step(step: Step) -> None:
    print_line(f"  {step.state:5}  {step.what}")
    if step.state is not StepState.NOW:
        return
    if step.setting is not None:
        print_line(f"         cdk.json: {setting_text(step.setting)}")
    for command in step.commands:
        print_line(f"         type: {command}")
