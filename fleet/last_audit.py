"""``zymkey-fleet audit --last``: what the daily audit in AWS has found, as the ledger keeps it."""

import time
from typing import Any

from audit.judgement import MEANINGS, QUIET, Kind
from fleet.deployment import Deployment
from fleet.errors import Refused
from fleet.output import iso, note, print_json, print_line, print_table
from ledger import AuditRecord

# It runs once a day.
_LATE_SECONDS = 2 * 86_400


def show_last_audit(deployment: Deployment, *, as_json: bool) -> int:
    """Print the last run. Returns the exit code: 0 when it has looked at everything and found nothing.

    Calls dynamodb:GetItem and Query.

    Raises:
        Refused: none has run yet.
    """
    record = deployment.ledger.last_audit()
    if record is None:
        raise Refused(
            "No audit has run in AWS yet.",
            cure="cdk deploy --all, and wait a day; or look now: zymkey-fleet audit",
        )
    findings = list(deployment.ledger.audit_findings(record))
    if as_json:
        print_json(_document(record, findings))
    else:
        _print(record, findings)
    return 0 if record.complete and record.counts.keys() <= QUIET else 1


def _print(record: AuditRecord, findings: list[dict[str, Any]]) -> None:
    print_line(
        f"Audit of {iso(record.began)}: {record.devices} devices, {record.certificates} certificates; "
        f"{record.deleted} deleted from AWS IoT, {record.left_to_delete} left to delete."
    )
    if not record.complete:
        print_line(f"It is not complete: {record.why}.")
    elif not record.counts:
        print_line("The ledger and AWS IoT agree.")
    if findings:
        print_findings(findings)
    if record.kept > len(findings):
        note("What it found was kept for ninety days, and is gone; look now: zymkey-fleet audit")
    elif (more := sum(record.counts.values()) - record.kept) > 0:
        note(f"{more} more were counted, and not kept; to see all: zymkey-fleet audit")
    if record.ended < time.time() - _LATE_SECONDS:
        note("That is longer ago than two days, although it runs daily: see AuditNotRun in docs/runbook.md.")


def print_findings(findings: list[dict[str, Any]], *, fixed: list[bool] | None = None) -> None:
    """Print findings, each as ``Finding.document`` gives it, and what their kinds mean."""
    heads = ["KIND", "DEVICE", *([] if fixed is None else ["FIXED"]), "CERTIFICATE", "DETAIL"]
    rows = []
    for number, each in enumerate(findings):
        done = [] if fixed is None else ["yes" if fixed[number] else "no"]
        rows.append([each["kind"], each["device"], *done, each["certificateId"], each["detail"]])
    if not any(each["detail"] for each in findings):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    print_table(heads, rows)
    known = {str(kind) for kind in Kind}  # the function may be of a later release than this command
    for kind in sorted({each["kind"] for each in findings} & known):
        note(f"{kind}: {MEANINGS[Kind(kind)][0]}.")


def _document(record: AuditRecord, findings: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "began": iso(record.began),
        "ended": iso(record.ended),
        "complete": record.complete,
        "why": record.why,
        "devices": record.devices,
        "certificates": record.certificates,
        "deleted": record.deleted,
        "leftToDelete": record.left_to_delete,
        "counts": dict(record.counts),
        "findings": findings,
    }
