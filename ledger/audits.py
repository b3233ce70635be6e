"""What the daily audit in AWS has found: a record of its last run, and the findings of each run for ninety days."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ledger.changes import Changes
from ledger.items import LAST_AUDIT, audit_findings_prefix

# How long the findings of a run stay, beside the record of the last run, which stays.
KEPT_SECONDS = 90 * 86_400
# Findings in one item: one takes 200 bytes, and an item 400 kB (DynamoDB quota).
_A_CHUNK = 500
# More of one run are counted, and not kept: whoever has so many looks at a few of each kind.
MOST_KEPT = 10_000


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """One run of the audit.

    Attributes:
        began, ended: seconds since 1970.
        complete: whether it has looked at everything.
        why: if not, why not.
        counts: how many findings there are, by kind.
        devices, certificates: how many the ledger has of them.
        deleted: certificates that left AWS IoT in this run, since nobody has needed them for long enough.
        left_to_delete: those that the run had no time for, or that AWS IoT did not let go yet: the next one's.
        compared: what the next run compares with, by the id of a CA.
        kept: how many of the findings are kept.
        run: tells this run's findings from another's.
    """

    began: int
    ended: int
    complete: bool
    why: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    devices: int = 0
    certificates: int = 0
    deleted: int = 0
    left_to_delete: int = 0
    compared: Mapping[str, Any] = field(default_factory=dict)
    kept: int = 0
    run: str = ""


class Audits(Changes):
    """The record is written after the findings that it names, so that nobody reads half a run."""

    def keep_audit(self, record: AuditRecord, findings: Iterable[Mapping[str, Any]]) -> AuditRecord:
        """Keep a run and its findings, in the place of the last run. Returns the record that was kept.

        Args:
            findings: each as plain values for JSON; no more than ``MOST_KEPT`` are kept.
        """
        run, kept = f"{record.ended:010d}-{secrets.token_hex(4)}", 0
        for number, chunk in enumerate(_chunks(findings)):
            item = {
                "pk": LAST_AUDIT[0],
                "sk": f"{audit_findings_prefix(run)}{number:06d}",
                "findings": json.dumps(chunk),
                "expires_at": record.ended + KEPT_SECONDS,
            }
            self._table.write(self._table.put(item))
            kept += len(chunk)
        whole = replace(record, run=run, kept=kept)
        pk, sk = LAST_AUDIT
        self._table.write(self._table.put({"pk": pk, "sk": sk, "record": json.dumps(asdict(whole))}))
        return whole

    def last_audit(self) -> AuditRecord | None:
        """The last run that has ended; None before the first one."""
        item = self._table.get(*LAST_AUDIT)
        if item is None:
            return None
        known = AuditRecord.__dataclass_fields__
        # A later release may have written more than this one knows.
        return AuditRecord(**{name: value for name, value in json.loads(item["record"]).items() if name in known})

    def audit_findings(self, record: AuditRecord) -> Iterator[dict[str, Any]]:
        """What a run has found, as it was kept; nothing after ninety days."""
        for item in self._table.query(LAST_AUDIT[0], prefix=audit_findings_prefix(record.run)):
            yield from json.loads(item["findings"])


def _chunks(findings: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    chunk: list[Mapping[str, Any]] = []
    for number, each in enumerate(findings):
        if number == MOST_KEPT:
            break
        chunk.append(each)
        if len(chunk) == _A_CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
