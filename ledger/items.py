"""Every item's keys and shape, and the records that are read from items. The table of them is in ``ledger.ledger``."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from ledger.dynamodb import Item
from ledger.records import Certificate, CertificateAuthority, CertificateState, Device, Event, KeyOwner, Request, State

_Record = TypeVar("_Record", Device, Certificate, Request, Event, CertificateAuthority, KeyOwner)


def device_key(name: str) -> tuple[str, str]:
    return f"device#{name}", "device"


def certificate_key(name: str, certificate_id: str) -> tuple[str, str]:
    return f"device#{name}", f"certificate#{certificate_id}"


def key_key(fingerprint: str) -> tuple[str, str]:
    return f"key#{fingerprint}", "key"


def authority_key(key_arn: str) -> tuple[str, str]:
    return f"certificate-authority#{key_arn}", "certificate-authority"


def signatures_key(ca_id: str) -> tuple[str, str]:
    return f"signatures#{ca_id}", "signatures"


def erased_key(ca_id: str) -> tuple[str, str]:
    """Apart from the signatures, whose item no transaction may hold."""
    return f"signatures#{ca_id}", "erased"


# The record of the last audit in AWS. Its findings are under the same partition key.
LAST_AUDIT = ("audit", "last")


def audit_findings_prefix(run: str) -> str:
    return f"findings#{run}#"


def device_item(name: str, state: State, now: int) -> Item:
    pk, sk = device_key(name)
    return {"pk": pk, "sk": sk, "listing": "device", "device": name, "state": state, "updated_at": now}


def certificate_item(certificate: Certificate) -> Item:
    pk, sk = certificate_key(certificate.device, certificate.certificate_id)
    return {"pk": pk, "sk": sk} | fields_of(certificate)


def device_from(item: Item) -> Device:
    return read(Device, {**item, "name": item["device"], "state": State(item["state"])})


def certificate_from(item: Item) -> Certificate:
    return read(Certificate, {**item, "state": CertificateState(item["state"])})


def fields_of(record: Any) -> Item:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def read(kind: type[_Record], item: Item) -> _Record:
    """A record from an item, which may hold more than the record has fields."""
    names = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in item.items() if name in names})
