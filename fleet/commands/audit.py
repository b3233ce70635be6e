"""``zymkey-fleet audit``: where the ledger and AWS IoT do not agree.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Scan, iot:ListCertificates, ListTargetsForPolicy,
DescribeCertificate, ListAttachedPolicies, ListPrincipalThings; with
--fix also sts:GetCallerIdentity, dynamodb:PutItem, UpdateItem, iot:UpdateCertificate, DeleteCertificate.
"""

import argparse
import time
from typing import Any

from audit.judgement import MEANINGS, Finding
from audit.survey import Survey
from fleet.arguments import add_deployment, add_examples, add_json, duration
from fleet.deployment import open_deployment, patient
from fleet.output import note, print_json, print_line, print_table
from fleet.pace import UPDATE_CERTIFICATE_PER_SECOND, keep_pace
from fleet.progress import Progress
from fleet.repair import repair


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fix", action="store_true", help="also repair what needs no decision")
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
    meanings = "\n".join(
        f"  {kind:14} {meaning}\n{'':17}{f'--fix {fix}' if fix else 'not repaired: a person has to decide'}"
        for kind, (meaning, fix) in MEANINGS.items()
    )
    parser.epilog = f"""\
Findings, each about one certificate:
{meanings}

Certificates of other fleets and systems are never touched. The exit code is 0 when the ledger and AWS IoT agree, or
when --fix has repaired all findings; else 1.
JSON: a list of kind, device, certificateId, fixed."""
    add_examples(parser, "zymkey-fleet audit", "zymkey-fleet audit --fix")


def run(arguments: argparse.Namespace) -> int:
    deployment = patient(open_deployment(arguments))
    if arguments.fix:
        keep_pace(deployment.iot, "UpdateCertificate", UPDATE_CERTIFICATE_PER_SECOND)
    findings, fixed = [], []
    with Progress("records read", total=None, wanted=not arguments.json) as progress:
        survey = Survey(
            iot=deployment.iot,
            ledger=deployment.ledger,
            policy=deployment.outputs.iot_policy,
            issuer=deployment.outputs.issuer,
            grace_seconds=arguments.grace,
            now=int(time.time()),
            advanced=progress.advance,
        )
        try:
            for finding in survey.findings():
                fix = arguments.fix and finding.is_fixable
                if fix:
                    repair(finding, deployment)
                findings.append(finding)
                fixed.append(fix)
        except BaseException:
            # With --json the error is the one answer. What was repaired is none of the next audit's findings.
            if findings and not arguments.json:
                _show(findings, fixed, as_json=False)
                note("That was found before the audit ended early; the same command looks at all of it again.")
            raise
    _show(findings, fixed, as_json=arguments.json)
    return 0 if all(fixed) else 1


def _show(findings: list[Finding], fixed: list[bool], *, as_json: bool) -> None:
    if as_json:
        print_json([_as_json(finding, fix) for finding, fix in zip(findings, fixed, strict=True)])
        return
    if not findings:
        print_line("The ledger and AWS IoT agree.")
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
