"""``zymkey-fleet audit``: where the ledger and AWS IoT do not agree.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query on the table and on its index ``listing``,
iot:ListCertificates, ListTargetsForPolicy, DescribeCertificate, ListAttachedPolicies, ListPrincipalThings; with
--fix also sts:GetCallerIdentity, dynamodb:PutItem, UpdateItem, iot:UpdateCertificate, DeleteCertificate.
"""

import argparse
import time
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError
from cryptography import x509

from fleet.arguments import deployment_options, duration, json_option
from fleet.audit import MEANINGS, Finding, Kind, Registered, judge, unknown_and_permitted, unknown_and_powerless
from fleet.certificates import deactivate, switch_off
from fleet.deployment import Deployment, open_deployment
from fleet.output import note, print_json, print_table
from ledger import Device
from pki.fingerprint import key_fingerprint
from pki.issuers import AMAZON
from pki.names import common_names


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fix", action="store_true", help="also mend what can be mended without a decision")
    parser.add_argument(
        "--grace",
        metavar="TIME",
        type=duration,
        default="10d",
        help="how long a certificate may go on after a renewal; more than cdk.json's renewalGraceDays, after which "
        "it is switched off every night (default: %(default)s)",
    )
    json_option(parser)
    deployment_options(parser)
    meanings = "\n".join(
        f"  {kind:14} {meaning}\n{'':17}{f'--fix {fix}' if fix else 'not mended: look at it'}"
        for kind, (meaning, fix) in MEANINGS.items()
    )
    parser.epilog = f"""\
What can be found:
{meanings}

Certificates that are not the fleet's are never touched. Exit code 0 when nothing is wrong, or all was mended; else 1.
JSON: a list of kind, device, certificateId, fixed."""


def run(options: argparse.Namespace) -> int:
    deployment = open_deployment(options)
    findings, fixed = [], []
    for finding in _find(deployment, grace_seconds=options.grace, now=int(time.time())):
        fix = options.fix and finding.is_fixable
        if fix:
            _fix(finding, deployment)
        findings.append(finding)
        fixed.append(fix)
    _show(findings, fixed, as_json=options.json)
    return 0 if all(fixed) else 1


def _find(deployment: Deployment, *, grace_seconds: int, now: int) -> Iterator[Finding]:
    """Compare two lists, then read again, one by one, what does not agree: the fleet goes on enrolling meanwhile."""
    registered = {each.certificate_id: each for each in _registered(deployment)}
    permitted = set(_permitted(deployment))
    devices = {each.name: each for each in deployment.ledger.devices()}
    certificates = [each for name in devices for each in deployment.ledger.certificates(name)]
    for certificate in certificates:
        listed = registered.get(certificate.certificate_id)
        kind = judge(
            certificate,
            device=devices[certificate.device],
            registered=listed,
            is_permitted=listed is not None and listed.arn in permitted,
            grace_seconds=grace_seconds,
            now=now,
        )
        if kind is not None:
            yield from _read_again(certificate.device, certificate.certificate_id, deployment, grace_seconds, now)
    known = {each.certificate_id for each in certificates}
    for each in unknown_and_permitted(known=known, registered=registered, permitted=permitted):
        owner = _owner(each, deployment)
        if owner is None:
            yield Finding(kind=Kind.UNKNOWN, certificate_id=each.certificate_id)
        else:
            yield from _read_again(owner, each.certificate_id, deployment, grace_seconds, now)
    if _has_amazon_signed(deployment, devices):
        for each in unknown_and_powerless(known=known, registered=registered, permitted=permitted, now=now):
            yield from _unfinished(each, deployment)


def _read_again(
    name: str, certificate_id: str, deployment: Deployment, grace_seconds: int, now: int
) -> Iterator[Finding]:
    """AWS IoT first: what happens after that can only make the ledger know more."""
    registered = _describe(certificate_id, deployment)
    is_permitted = registered is not None and deployment.outputs.iot_policy in _policies(registered, deployment)
    certificate = deployment.ledger.certificate(name, certificate_id)
    if certificate is None:
        return
    kind = judge(
        certificate,
        device=deployment.ledger.device(name),
        registered=registered,
        is_permitted=is_permitted,
        grace_seconds=grace_seconds,
        now=now,
    )
    if kind is not None:
        yield Finding(kind=kind, certificate_id=certificate_id, device=name)


def _registered(deployment: Deployment) -> Iterator[Registered]:
    for page in deployment.iot.get_paginator("list_certificates").paginate(PaginationConfig={"PageSize": 250}):
        for each in page["certificates"]:
            yield Registered(
                certificate_id=each["certificateId"],
                arn=each["certificateArn"],
                status=each["status"],
                created_at=int(each["creationDate"].timestamp()),
            )


def _permitted(deployment: Deployment) -> Iterator[str]:
    pages = deployment.iot.get_paginator("list_targets_for_policy").paginate(
        policyName=deployment.outputs.iot_policy, PaginationConfig={"PageSize": 250}
    )
    for page in pages:
        yield from page["targets"]


def _owner(registered: Registered, deployment: Deployment) -> str | None:
    """Whose it is: a removed device's certificates stay in the ledger under its name."""
    for name in _names(registered, deployment):
        if deployment.ledger.certificate(name, registered.certificate_id) is not None:
            return name
    return None


def _names(registered: Registered, deployment: Deployment) -> Iterator[str]:
    subject = _certificate(registered.certificate_id, deployment).subject
    yield from common_names(subject)
    yield from _things(registered, deployment)


def _has_amazon_signed(deployment: Deployment, devices: dict[str, Device]) -> bool:
    return deployment.outputs.issuer == AMAZON or any(each.issued_by == AMAZON for each in devices.values())


def _unfinished(registered: Registered, deployment: Deployment) -> Iterator[Finding]:
    """The fleet's if its key is: a foreign certificate, however idle, has a key that the ledger does not know."""
    fingerprint = key_fingerprint(_certificate(registered.certificate_id, deployment).public_key())
    device = deployment.ledger.device_of_key(fingerprint)
    if device is None:
        return
    if deployment.ledger.certificate(device.name, registered.certificate_id) is not None:
        return  # written down in the meantime
    if _policies(registered, deployment) or _things(registered, deployment):
        return
    yield Finding(kind=Kind.UNFINISHED, certificate_id=registered.certificate_id, device=device.name)


def _describe(certificate_id: str, deployment: Deployment) -> Registered | None:
    try:
        described = deployment.iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    return Registered(
        certificate_id=certificate_id,
        arn=described["certificateArn"],
        status=described["status"],
        created_at=int(described["creationDate"].timestamp()),
    )


def _policies(registered: Registered, deployment: Deployment) -> list[str]:
    return [each["policyName"] for each in deployment.iot.list_attached_policies(target=registered.arn)["policies"]]


def _things(registered: Registered, deployment: Deployment) -> list[str]:
    return deployment.iot.list_principal_things(principal=registered.arn)["things"]


def _certificate(certificate_id: str, deployment: Deployment) -> x509.Certificate:
    pem = deployment.iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]["certificatePem"]
    return x509.load_pem_x509_certificate(pem.encode("ascii"))


def _fix(finding: Finding, deployment: Deployment) -> None:
    if finding.kind is Kind.UNFINISHED:
        switch_off(finding.certificate_id, deployment)
        deployment.iot.delete_certificate(certificateId=finding.certificate_id)
        return
    certificate = deployment.ledger.certificate(finding.device or "", finding.certificate_id)
    if certificate is not None:
        deactivate(certificate, deployment)


def _show(findings: list[Finding], fixed: list[bool], *, as_json: bool) -> None:
    if as_json:
        print_json([_as_json(finding, fix) for finding, fix in zip(findings, fixed, strict=True)])
        return
    if not findings:
        print("The ledger and AWS IoT agree.")
        return
    print_table(
        ["KIND", "DEVICE", "FIXED", "CERTIFICATE"],
        [
            [finding.kind, finding.device, "yes" if fix else "no", finding.certificate_id]
            for finding, fix in zip(findings, fixed, strict=True)
        ],
    )
    for kind in sorted({finding.kind for finding in findings}):
        note(f"{kind}: {MEANINGS[kind][0]}.")


def _as_json(finding: Finding, fixed: bool) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "device": finding.device,
        "certificateId": finding.certificate_id,
        "fixed": fixed,
    }
