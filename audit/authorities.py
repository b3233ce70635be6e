"""Whether AWS IoT has the CAs as they were declared, and how many signatures and certificates there are of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509

from audit.declared import DeclaredAuthority
from audit.judgement import Finding, Kind
from ledger import Ledger, SignatureCount
from pki.fingerprint import certificate_id

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


def ids_in_kms(authorities: Sequence[DeclaredAuthority], ledger: Ledger) -> dict[str, str]:
    """The id of each CA in KMS by the ARN of its key; without one whose certificate the ledger does not have."""
    found = {}
    for each in authorities:
        kept = ledger.certificate_authority(each.key) if each.key else None
        if kept is not None:
            found[each.key] = certificate_id(x509.load_pem_x509_certificate(kept.certificate_pem.encode()))
    return found


def authority_findings(
    iot: IoTClient, authorities: Sequence[DeclaredAuthority], *, in_kms: Mapping[str, str]
) -> Iterator[Finding]:
    """Compare the registrations. Calls iot:DescribeCACertificate for each.

    Args:
        in_kms: what ``ids_in_kms`` returns.
    """
    for declared in authorities:
        identifier = in_kms.get(declared.key, declared.certificate_id)
        if not identifier:
            continue
        try:
            found: Mapping[str, Any] = iot.describe_ca_certificate(certificateId=identifier)["certificateDescription"]
        except iot.exceptions.ResourceNotFoundException:
            yield Finding(kind=Kind.CA_MISSING, certificate_id=identifier)
            continue
        for kind, is_now, should_be in (
            (Kind.CA_STATUS, found["status"], declared.status),
            (Kind.CA_AUTO_REGISTRATION, found.get("autoRegistrationStatus"), declared.auto_registration),
        ):
            if should_be and is_now != should_be:
                detail = f"is {is_now}, declared {should_be}"
                yield Finding(kind=kind, certificate_id=identifier, detail=detail)


# Signatures


@dataclass(frozen=True, kw_only=True)
class Surplus:
    """How many more signatures of a CA were asked for than there are certificates of it: at least, and at most.

    It is no single number, since devices enroll while an audit counts. What it is does not matter, as earlier releases
    did not count signatures: an audit looks whether it has changed.
    """

    least: int
    most: int


def surplus(before: SignatureCount, after: SignatureCount, *, on_record: int, at_work: int) -> Surplus:
    """Between two counts of the signatures the certificates were counted.

    Args:
        on_record: certificates of the CA in the ledger.
        at_work: requests that held a lease when their device was read: each may have signed, and not recorded yet.
    """
    return Surplus(least=before.made - on_record - after.erased - at_work, most=after.made - on_record - before.erased)


def signature_findings(identifier: str, was: Surplus | None, now: Surplus) -> Iterator[Finding]:
    """Compare with the audit before; the first one has nothing to compare with."""
    if was is None:
        return
    if now.least > was.most:
        detail = f"{now.least - was.most} more than certificates since the audit before"
        yield Finding(kind=Kind.UNRECORDED_SIGNATURES, certificate_id=identifier, detail=detail)
    elif now.most < was.least:
        detail = f"{was.least - now.most} more than signatures since the audit before"
        yield Finding(kind=Kind.UNSIGNED_CERTIFICATES, certificate_id=identifier, detail=detail)


def to_compare_with(was: Surplus | None, now: Surplus) -> Surplus:
    """What the next audit compares with: what has been found is not found again, and what is known gets no vaguer."""
    if was is None or now.least > was.most or now.most < was.least:
        return now
    return Surplus(least=max(was.least, now.least), most=min(was.most, now.most))
