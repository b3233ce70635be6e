"""All that an audit looks at: the policy, the CAs, every certificate, every thing, and the signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from audit.authorities import (
    Surplus,
    authority_findings,
    ids_in_kms,
    signature_findings,
    surplus,
    to_compare_with,
)
from audit.declared import Declared
from audit.judgement import Finding
from audit.policy import policy_findings
from audit.survey import Survey
from audit.things import Things
from ledger import Ledger

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


@dataclass(kw_only=True)
class Examination:
    """One audit, of the command or of the daily function.

    Attributes:
        policy, issuer, grace_seconds, kept_seconds, now, advanced: as of ``Survey``.
        declared: what else AWS IoT is held against.
        compared: what the daily audit before has counted (``AuditRecord.compared``).
        survey: what was read, when ``findings`` has ended or was left.
        to_compare: what the next daily audit compares with, when ``findings`` has ended.
    """

    iot: IoTClient
    ledger: Ledger
    policy: str
    issuer: str
    grace_seconds: int
    kept_seconds: int | None
    now: int
    declared: Declared
    advanced: Callable[[int], None]
    compared: Mapping[str, Any]
    survey: Survey = field(init=False)
    to_compare: Mapping[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.survey = Survey(
            iot=self.iot,
            ledger=self.ledger,
            policy=self.policy,
            issuer=self.issuer,
            grace_seconds=self.grace_seconds,
            kept_seconds=self.kept_seconds,
            now=self.now,
            things=Things(iot=self.iot, ledger=self.ledger, declared=self.declared),
            advanced=self.advanced,
        )

    def findings(self) -> Iterator[Finding]:
        """What is wrong, as it is found. What is about one device or certificate is read again before."""
        in_kms = ids_in_kms(self.declared.authorities, self.ledger)
        yield from policy_findings(self.iot, name=self.policy, declared=self.declared.policy_digest)
        yield from authority_findings(self.iot, self.declared.authorities, in_kms=in_kms)
        cas = list(in_kms.values())
        self.survey.ca_ids = cas
        before = self.ledger.signatures(cas)
        yield from self.survey.findings()
        after = self.ledger.signatures(cas)
        to_compare = dict(self.compared)
        for each in cas:
            known = self.compared.get(each)
            was = None if known is None else Surplus(**known)
            counted = surplus(
                before[each], after[each], on_record=self.survey.issued[each], at_work=self.survey.at_work
            )
            yield from signature_findings(each, was, counted)
            to_compare[each] = asdict(to_compare_with(was, counted))
        self.to_compare = to_compare
