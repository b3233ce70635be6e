"""``zymkey-fleet audit``: where the ledger and AWS IoT do not agree.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Scan, iot:ListCertificates, ListTargetsForPolicy,
DescribeCertificate, ListAttachedPolicies, ListPrincipalThings, ListCertificatesByCA, DescribeCACertificate, GetPolicy,
ListThings, ListThingsInThingGroup, DescribeThing, ListThingGroupsForThing; with
--fix also sts:GetCallerIdentity, dynamodb:PutItem, UpdateItem, ConditionCheckItem, iot:UpdateCertificate,
DeleteCertificate, DetachPolicy, DetachThingPrincipal. With --last: cloudformation:DescribeStacks, dynamodb:GetItem,
Query.
"""

import argparse
import json
import time
from typing import Any

from audit.declared import Declared
from audit.examination import Examination
from audit.judgement import DAY, MEANINGS, QUIET, Finding, Kind
from fleet.arguments import add_deployment, add_examples, add_json, duration
from fleet.deployment import Deployment, open_deployment, patient
from fleet.last_audit import print_findings, show_last_audit
from fleet.output import note, print_json, print_line
from fleet.pace import UPDATE_CERTIFICATE, keep_pace
from fleet.progress import Progress
from fleet.repair import repair


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--fix", action="store_true", help="also repair what needs no decision")
    what.add_argument(
        "--last",
        action="store_true",
        help="look at nothing: show what the audit has found that runs in AWS every day, and when that was",
    )
    parser.add_argument(
        "--grace",
        metavar="TIME",
        type=duration,
        default="10d",
        help="how long the old certificate may stay active after a renewal; more than cdk.json's renewalGraceDays, "
        "after which an hourly function switches it off (default: %(default)s)",
    )
    add_json(parser)
    add_deployment(parser)
    meanings = "\n".join(f"  {kind}: {meaning}\n    {_does(kind, fix)}" for kind, (meaning, fix) in MEANINGS.items())
    parser.epilog = f"""\
Findings:
{meanings}

Certificates and things of other fleets and systems are never touched. The exit code is 0 when the ledger and AWS IoT
agree, or when --fix has repaired all findings, but for those that are only told; else 1.
JSON: a list of kind, device, certificateId, detail, fixed; device and certificateId may be null.
With --last: began, ended, complete, why, devices, certificates, deleted, leftToDelete, counts (by kind), findings; exit
code 0 when that run has looked at everything and found nothing, else 1."""
    add_examples(parser, "zymkey-fleet audit", "zymkey-fleet audit --fix", "zymkey-fleet audit --last")


def _does(kind: Kind, fix: str | None) -> str:
    if kind in QUIET:
        return "only told: it raises no alarm"
    return f"--fix {fix}" if fix else "not repaired: a person has to decide"


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    if arguments.last:
        return show_last_audit(deployment, as_json=arguments.json)
    deployment = patient(deployment)
    if arguments.fix:
        keep_pace(deployment.iot, "UpdateCertificate", UPDATE_CERTIFICATE.per_second)
    findings, fixed = [], []
    with Progress("records read", total=None, wanted=not arguments.json) as progress:
        before = deployment.ledger.last_audit()
        examination = Examination(
            iot=deployment.iot,
            ledger=deployment.ledger,
            policy=deployment.outputs.iot_policy,
            issuer=deployment.outputs.issuer,
            declared=_declared(deployment),
            compared={} if before is None else before.compared,
            grace_seconds=arguments.grace,
            now=int(time.time()),
            kept_seconds=int(kept) * DAY if (kept := deployment.outputs.delete_after_days).isdigit() else None,
            advanced=progress.advance,
        )
        try:
            for finding in examination.findings():
                fix = arguments.fix and finding.is_fixable and repair(finding, deployment)
                findings.append(finding)
                fixed.append(fix)
        except BaseException:
            # With --json the error is the one answer. What was repaired is none of the next audit's findings.
            if findings and not arguments.json:
                _show(findings, fixed, as_json=False)
                note("That was found before the audit ended early; the same command looks at all of it again.")
            raise
    _show(findings, fixed, as_json=arguments.json)
    return 0 if all(fix or finding.is_quiet for finding, fix in zip(findings, fixed, strict=True)) else 1


def _declared(deployment: Deployment) -> Declared:
    outputs = deployment.outputs
    return Declared.read(outputs.declared, fleet=outputs.fleet, things=json.loads(outputs.things or "{}"))


def _show(findings: list[Finding], fixed: list[bool], *, as_json: bool) -> None:
    if as_json:
        print_json([_as_json(finding, fix) for finding, fix in zip(findings, fixed, strict=True)])
        return
    if not findings:
        print_line("The ledger and AWS IoT agree.")
        return
    print_findings([each.document() for each in findings], fixed=fixed)


def _as_json(finding: Finding, fixed: bool) -> dict[str, Any]:
    return {**finding.document(), "fixed": fixed}
