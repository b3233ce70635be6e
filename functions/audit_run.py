"""The audit as it runs every day in AWS: it looks, deletes what nobody needs any more, and keeps what it has found.

``zymkey-fleet audit`` looks in the same way (``audit/``), and can repair. This run repairs nothing: a certificate that
is not as the ledger says is a person's to look at. What it deletes has been out of use for ``deleteAfterDays``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from audit.declared import Declared
from audit.examination import Examination
from audit.judgement import DAY, QUIET, Finding
from functions.deletion import Deletions, delete_unneeded
from functions.deployment import Deployment
from functions.log import bounded, log
from functions.metrics import Metric, measured
from ledger import AuditRecord, LedgerError
from ledger.audits import MOST_KEPT

# A run is thousands of calls of AWS IoT's lists, whose quotas others use, too: the SDK finds the rate that is left, and
# gives a call up after some minutes.
PATIENT = Config(
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=16,
    retries={"mode": "adaptive", "total_max_attempts": 15},
)

# The sweep switches a superseded certificate off when its grace is over; what it has had days for is a finding.
GRACE_MARGIN_DAYS = 3
# Before the function's end: to keep the record.
_TO_KEEP_SECONDS = 60.0


class AuditIncomplete(Exception):
    """The audit has not looked at everything, or could not delete something. What it has found is kept."""


class _TimeIsUp(Exception):
    """No more may be begun."""


@dataclass
class _Seen:
    """What a run has found so far."""

    kept: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    why: str = ""  # it is not complete

    def add(self, finding: Finding) -> None:
        self.counts[str(finding.kind)] += 1
        if len(self.kept) < MOST_KEPT:
            self.kept.append(finding)


def audit(
    *,
    grace_days: int,
    delete_after_days: int,
    now: int,
    deployment: Deployment,
    declared: str = "",
    remaining: Callable[[], float] = lambda: 900.0,
) -> AuditRecord:
    """Look at everything, delete what nobody needs any more, and keep what was found. Repeating it is safe.

    Args:
        grace_days: the setting ``renewalGraceDays``.
        delete_after_days: the setting ``deleteAfterDays``.
        now: seconds since 1970.
        declared: what the template declares, as JSON (``audit.declared``).
        remaining: the seconds that this run has left.

    Raises:
        AuditIncomplete: see there.
        LedgerError, ClientError, BotoCoreError: what was found could not be kept.
    """
    began = time.monotonic()
    choices = deployment.choices
    before = deployment.ledger.last_audit()
    examination = Examination(
        iot=deployment.iot,
        ledger=deployment.ledger,
        policy=choices.iot_policy,
        issuer=choices.issuer,
        declared=Declared.read(declared, fleet=choices.fleet, things=choices.things),
        compared={} if before is None else before.compared,
        grace_seconds=(grace_days + GRACE_MARGIN_DAYS) * DAY,
        kept_seconds=delete_after_days * DAY,
        now=now,
        advanced=lambda _: _go_on(remaining),
    )
    survey = examination.survey
    seen = _look(examination)
    deletions = Deletions(left=len(survey.to_delete))
    if not seen.why:
        deletions = delete_unneeded(
            survey.to_delete,
            kept_seconds=delete_after_days * DAY,
            now=now,
            deployment=deployment,
            goes_on=lambda: remaining() > _TO_KEEP_SECONDS,
        )
    record = deployment.ledger.keep_audit(
        AuditRecord(
            began=now,
            ended=now + round(time.monotonic() - began),
            complete=not seen.why,
            why=seen.why,
            counts=dict(seen.counts),
            devices=survey.devices,
            certificates=survey.certificates,
            deleted=deletions.done,
            left_to_delete=deletions.left + survey.further_to_delete,
            compared=examination.compared if seen.why else examination.to_compare,
        ),
        (each.document() for each in seen.kept),
    )
    _report(record)
    if seen.why or deletions.failed:
        raise AuditIncomplete(seen.why or f"{deletions.failed} certificates could not be deleted")
    return record


def _look(examination: Examination) -> _Seen:
    seen = _Seen()
    try:
        for finding in examination.findings():
            seen.add(finding)
    except _TimeIsUp:
        seen.why = "the time of the function was up before everything was looked at"
    except (ClientError, BotoCoreError, LedgerError) as error:
        seen.why = f"an AWS call failed: {bounded(str(error))}"
    return seen


def _go_on(remaining: Callable[[], float]) -> None:
    if remaining() <= _TO_KEEP_SECONDS:
        raise _TimeIsUp


def _report(record: AuditRecord) -> None:
    """One line of the log, which is the metric, too. Names of devices are in the record, and not here."""
    write = log.info if record.complete else log.error
    write(
        "audited" if record.complete else "the audit is not complete",
        **({} if record.complete else {"reason": record.why}),
        counts=dict(record.counts),
        devices=record.devices,
        certificates=record.certificates,
        deleted=record.deleted,
        left_to_delete=record.left_to_delete,
        **measured({Metric.AUDIT_FINDINGS: sum(n for kind, n in record.counts.items() if kind not in QUIET)}),
    )
