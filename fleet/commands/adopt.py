"""``zymkey-fleet adopt``: find what a destroyed deployment left, and write the setting that takes it over.

AWS actions: cloudformation:DescribeStacks, ListStackResources, dynamodb:ListTables, DescribeTable, GetItem, Query on
the index ``listing``, iot:DescribeCertificate, ListAttachedPolicies, DescribeCACertificate, ListTagsForResource,
kms:DescribeKey.
An administrator has them: the fleet's own policies name a deployment that is not there.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fleet import left_behind
from fleet.arguments import add_account, add_examples, add_fleet, add_json
from fleet.aws_session import AwsSession
from fleet.cdk_json import CDK_JSON, CdkJson
from fleet.errors import NoDeployment, NotPermitted, Refused
from fleet.failures import explained
from fleet.files import read
from fleet.left_behind import LeftAuthority, LeftLedger, Registration
from fleet.output import iso, note, print_json, print_line, print_table
from pki.certificate_authority_checks import read_ca_certificate
from pki.fingerprint import certificate_id
from pki.received_certificate import CertificateError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write", action="store_true", help="write the setting into ./cdk.json")
    parser.add_argument("--table", metavar="NAME", help="the ledger to adopt, where there are several")
    parser.add_argument("--policy", metavar="NAME", help="the IoT policy to adopt, where devices have several")
    add_json(parser)
    add_fleet(parser)
    add_account(parser)
    parser.epilog = """\
Changes nothing in AWS. It finds the ledger by its name, and in the ledger the CAs and the devices, whose certificates
have the IoT policy. Where there is a cdk.json, only the CAs that it names are adopted. Steps before and after:
docs/operator.md, "The stacks were deleted".
JSON: adopt, written, ledgers (table, created, devices, enrolled, changed), notes."""
    add_examples(parser, "zymkey-fleet adopt", "zymkey-fleet adopt --write && cdk deploy --all")


def run(arguments: argparse.Namespace) -> int:
    try:
        with explained():
            return _run(arguments)
    except NotPermitted as error:
        raise NotPermitted(error.cause, cure="use an administrator's credentials: choose with --profile") from None


def _run(arguments: argparse.Namespace) -> int:
    cdk_json = _cdk_json(arguments)
    session = AwsSession(profile=arguments.profile, region=arguments.region)
    stack = f"{arguments.fleet}-Trust"
    deployed = left_behind.stack_tables(session, stack)
    found = left_behind.ledgers(session, arguments.fleet, besides=deployed or ())
    if not found:
        raise _nothing_left(session, arguments.fleet, deployed)
    if len(found) > 1 and not arguments.json:
        _show(found)
    left = _chosen(found, arguments.table)
    notes: list[str] = []
    if deployed:
        notes.append(
            f"The stack {stack} is there, with the ledger {deployed[0]}. Delete that stack alone before you deploy "
            "with this setting: `aws cloudformation update-termination-protection --no-enable-termination-protection "
            f"--stack-name {stack}`, then `cdk destroy --exclusively {stack}`."
        )
    adopt: dict[str, Any] = {"ledgerTable": left.table}
    policy = _policy(left_behind.iot_policies(session, left.devices), arguments.policy)
    if policy is None:
        notes.append("No device has a certificate with an IoT policy: a new policy will be made.")
    else:
        adopt["iotPolicy"] = policy
    authorities = left_behind.authorities(session, left.authorities, fleet=arguments.fleet)
    in_kms = _usable(list(authorities), cdk_json, notes)
    if in_kms:
        adopt["certificateAuthorities"] = {name: each.authority.key_arn for name, each in in_kms.items()}
    external = _external(session, arguments.fleet, left, cdk_json, notes)
    if external is not None:
        adopt["externalCertificateAuthority"] = external.certificate_id
    for each in (*(each.registration for each in in_kms.values()), external):
        if each is not None and not each.is_marked:
            notes.append(_mark(each, arguments.fleet))
    if arguments.write and cdk_json is not None:
        cdk_json.write("adopt", adopt)
    _report(adopt, found, notes, arguments)
    return 0


def _cdk_json(arguments: argparse.Namespace) -> CdkJson | None:
    if not arguments.write and not CDK_JSON.exists():
        return None
    cdk_json = CdkJson()
    named = cdk_json.settings.get("fleet", arguments.fleet)
    if named == arguments.fleet:
        return cdk_json
    if arguments.write:
        raise Refused(
            f"cdk.json has the settings of the fleet {named!r}, not of {arguments.fleet!r}.",
            cure="run the command in the folder of that fleet's cdk.json, or choose the fleet with --fleet",
        )
    return None


def _nothing_left(session: AwsSession, fleet: str, deployed: Sequence[str] | None) -> Refused | NoDeployment:
    if deployed:
        return Refused(
            f"The stack {fleet}-Trust is there, with the ledger {deployed[0]}, and there is no other ledger of this "
            "fleet: nothing has to be adopted.",
            cure="cdk deploy --all",
        )
    return NoDeployment(
        f"No deployment of a fleet {fleet!r} has left a ledger in Region "
        f"{session.client('dynamodb').meta.region_name} of this account.",
        cure="choose another place with --fleet, --region and --profile",
    )


def _chosen(found: Sequence[LeftLedger], table: str | None) -> LeftLedger:
    """The one that was asked for, or the only one that has devices."""
    if table is not None:
        for each in found:
            if each.table == table:
                return each
        raise Refused(f"There is no ledger {table!r} to adopt; there are: {_described(found)}.", cure=_CHOOSE)
    candidates = [each for each in found if each.is_in_use] or list(found)
    if len(candidates) > 1:
        raise Refused(f"There are {len(candidates)} ledgers: {_described(candidates)}.", cure=_CHOOSE)
    return candidates[0]


_CHOOSE = "zymkey-fleet adopt --table NAME"


def _described(found: Iterable[LeftLedger]) -> str:
    return "; ".join(
        f"{each.table} (made {iso(each.created_at)}, {len(each.devices)} devices, {each.enrolled} enrolled, "
        f"last change {iso(each.changed_at) or 'none'})"
        for each in found
    )


def _policy(found: Sequence[str], wanted: str | None) -> str | None:
    if wanted is not None:
        if wanted not in found:
            raise Refused(
                f"No device that was looked at has the IoT policy {wanted!r}; they have: {', '.join(found) or 'none'}.",
                cure="give one of these names with --policy, or leave the option out",
            )
        return wanted
    own = [each for each in found if left_behind.is_fleets_own(each)] or list(found)
    if len(own) > 1:
        raise Refused(
            f"The devices' certificates have several IoT policies: {', '.join(own)}.",
            cure="zymkey-fleet adopt --policy NAME, with the one that the fleet's template made",
        )
    return own[0] if own else None


def _usable(found: Sequence[LeftAuthority], cdk_json: CdkJson | None, notes: list[str]) -> dict[str, LeftAuthority]:
    """The CAs in KMS that can be used, by name; of two CAs with one name the newer one."""
    usable: dict[str, LeftAuthority] = {}
    for left in sorted(found, key=lambda each: each.not_before):
        authority = left.authority
        called = f"The CA {authority.name!r} ({authority.subject}, {authority.validity_years} years)"
        if cdk_json is not None and authority.name not in cdk_json.authorities():
            notes.append(f"{called} is left as it is: cdk.json does not name it in certificateAuthorities.")
        elif left.registration is None:
            notes.append(f"{called} is not adopted: its registration in AWS IoT was deleted.")
        elif not left.is_usable:
            notes.append(f"{called} is not adopted: its key {authority.key_arn} is {left.key_state} in KMS.")
        else:
            if left.registration.status != "ACTIVE":
                notes.append(f"{called} is {left.registration.status} in AWS IoT, as `ca retire` leaves it.")
            if left.key_state != "Enabled":
                notes.append(f"{called} cannot sign: its key {authority.key_arn} is {left.key_state} in KMS.")
            usable[authority.name] = left
    return usable


def _external(
    session: AwsSession, fleet: str, left: LeftLedger, cdk_json: CdkJson | None, notes: list[str]
) -> Registration | None:
    """The external CA, if AWS IoT has it: the one that cdk.json names, else the one that signed."""
    file = cdk_json.external_certificate() if cdk_json is not None else None
    if file is not None:
        return left_behind.registration(session, _id_of(file), fleet=fleet)
    asked = (
        left_behind.registration(session, each, fleet=fleet) for each in sorted(left_behind.issued_elsewhere(left))
    )
    signed = [each for each in asked if each is not None]
    if cdk_json is None and len(signed) == 1:
        return signed[0]
    if signed:
        named = ", ".join(each.certificate_id for each in signed)
        notes.append(
            f"Devices have certificates of the external CA {named}. To adopt it, name its certificate in the setting "
            "externalCertificateAuthority of cdk.json, and run this command again there."
        )
    return None


def _mark(registration: Registration, fleet: str) -> str:
    return (
        f"The CA {registration.certificate_id} has no tag of this fleet in AWS IoT, without which the operators' "
        f"policy does not permit `ca retire`: `aws iot tag-resource --resource-arn {registration.arn} "
        f"--tags Key={left_behind.FLEET_TAG},Value={fleet}`."
    )


def _id_of(file: Path) -> str:
    try:
        return certificate_id(read_ca_certificate(read(file, "CA certificate")))
    except CertificateError as error:
        raise Refused(
            f"The CA certificate {str(file)!r}, which cdk.json names, cannot be used: {error}",
            cure="correct the setting externalCertificateAuthority",
        ) from None


def _show(found: Sequence[LeftLedger]) -> None:
    print_table(
        ["LEDGER", "MADE", "DEVICES", "ENROLLED", "LAST-CHANGE"],
        [
            [each.table, iso(each.created_at), str(len(each.devices)), str(each.enrolled), iso(each.changed_at)]
            for each in found
        ],
    )


def _report(
    adopt: dict[str, Any], found: Sequence[LeftLedger], notes: Sequence[str], arguments: argparse.Namespace
) -> None:
    if arguments.json:
        print_json(
            {
                "adopt": adopt,
                "written": bool(arguments.write),
                "ledgers": [
                    {
                        "table": each.table,
                        "created": iso(each.created_at),
                        "devices": len(each.devices),
                        "enrolled": each.enrolled,
                        "changed": iso(each.changed_at),
                    }
                    for each in found
                ],
                "notes": list(notes),
            }
        )
        return
    for line in f'"adopt": {json.dumps(adopt, indent=2)}'.splitlines():
        print_line(line)
    for each in notes:
        note(each)
    if arguments.write:
        note("Written into cdk.json. Next: cdk deploy --all")
    else:
        note('Put this into the object "zymkey-fleet" in cdk.json (or add --write), then: cdk deploy --all')
