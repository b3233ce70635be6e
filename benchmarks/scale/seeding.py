"""A fleet of any size in the emulator's memory, before it starts: by its API it would take an hour for 100,000 devices.

Of each hundred devices two are invited, two blocked and one removed; the others are enrolled, ten of them with an old
certificate that a renewal has superseded, for one of which the time of grace is over, and 25 with an old certificate
that is switched off. Items are made by the ledger's own code.
"""

from __future__ import annotations

import hashlib
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ledger import LISTED_ATTRIBUTES, THING_MARK, Certificate, CertificateState, Device, Event, State
from ledger.dynamodb import _wrap
from ledger.items import certificate_item, device_item, fields_of, key_key

TABLE, POLICY, FLEET = "ledger", "devices", "scale"
DAY = 86_400
LIFE = 365 * DAY
ISSUER = "c" * 64
ARN = "arn:aws:iot:us-east-1:000000000000:cert/"
# Of each hundred, by their numbers: what is from here on is blocked, invited or removed.
_FIRST_BLOCKED = 95
# As long as the PEM of a certificate of P-256 with this fleet's extensions.
_PEM = "-----BEGIN CERTIFICATE-----\n" + "\n".join(["A" * 64] * 12) + "\n-----END CERTIFICATE-----\n"


@dataclass
class Seeded:
    """One certificate, as both sides have it; None: AWS IoT has none."""

    certificate: Certificate
    status: str | None
    is_permitted: bool = True


def install(devices: int, *, with_faults: bool) -> None:
    """Fill the emulator in this process; with faults, one device in a hundred has one that the audit finds."""
    from ministack.services import dynamodb, iot

    now = int(time.time())
    dynamodb._create_table(_table())
    items = dynamodb._tables[TABLE]["items"]
    targets: list[str] = []
    for number in range(devices):
        iot._things[name_of(number)] = _thing(name_of(number))
        for each in put_device(number, now, items):
            if with_faults and number % 100 == 50 and each.certificate.state is CertificateState.ACTIVE:
                each = _broken(each, number)
            certificate_id = each.certificate.certificate_id
            if each.status is not None:
                iot._certificates[certificate_id] = iot._certificate_record(certificate_id, _PEM, each.status)
                if each.is_permitted:
                    targets.append(ARN + certificate_id)
    iot._policies[POLICY] = {"policyName": POLICY, "policyArn": f"arn:aws:iot:::policy/{POLICY}", "targets": targets}
    table, index = sizes(items)
    # What the arithmetic needs (``benchmarks.scale.cloud``).
    print(f"table {table} index {index}", file=sys.stdout, flush=True)


def _thing(name: str) -> dict[str, Any]:
    """As the emulator keeps one, with the fleet's mark. Removed and invited devices have theirs, too."""
    arn = f"arn:aws:iot:us-east-1:000000000000:thing/{name}"
    return {"thingName": name, "thingId": name, "thingArn": arn, "attributes": {THING_MARK: FLEET}, "version": 1}


def name_of(number: int) -> str:
    return f"pi-{number:07}"


def enrolled(devices: int) -> Iterator[str]:
    """The names of those that are enrolled, of so many."""
    return (name_of(number) for number in range(devices) if number % 100 < _FIRST_BLOCKED)


def put_device(number: int, now: int, items: Any) -> Iterator[Seeded]:
    """Put the items of one device, and yield its certificates."""
    name, kind = name_of(number), number % 100

    def put(item: dict[str, Any]) -> None:
        items[item["pk"]][item["sk"]] = _wrap(item)

    def event(what: str, by: str, age: int, detail: str = "") -> None:
        noted = Event(device=name, at=now - age, what=what, by=by, detail=detail)
        moment = f"{now - age:010d}#{number:020d}#{age % 65_536:04x}"
        put({"pk": f"device#{name}", "sk": f"event#{moment}"} | fields_of(noted))

    event("invited", "user/alice", 200 * DAY, f"until {now}")
    if kind in (97, 98):
        put(device_item(name, State.INVITED, now) | {"token_hash": "d" * 64, "token_expires": now + DAY})
        return
    fingerprint = "SHA256:" + hashlib.sha256(name.encode()).hexdigest()[:43]
    is_removed, is_blocked, is_renewed, is_old = kind == 99, _FIRST_BLOCKED <= kind < 97, kind < 10, 10 <= kind < 35
    newest = _certificate(name, fingerprint, 1, now)
    older = _certificate(name, fingerprint, 0, now - 240 * DAY)
    event("claimed", "device", 199 * DAY, fingerprint)
    event("certificate signed", "enrollment", 199 * DAY - 1, newest.certificate_id)
    event("enrolled", "enrollment", 199 * DAY - 2, newest.certificate_id)
    seeded = [Seeded(newest, "ACTIVE")]
    device = Device(
        name=name,
        state=State.ENROLLED,
        updated_at=now,
        fingerprint=fingerprint,
        certificate_id=newest.certificate_id,
        not_after=newest.not_after,
        issued_by=ISSUER,
    )
    if is_renewed or is_old:
        event("certificate signed", "enrollment", 3 * DAY, newest.certificate_id)
        event("renewed", "enrollment", 3 * DAY - 1, newest.certificate_id)
        if is_renewed:
            at = now - (8 if kind == 0 else 3) * DAY
            seeded.append(Seeded(replace(older, state=CertificateState.SUPERSEDED, updated_at=at), "ACTIVE"))
            device = replace(device, superseded=older.certificate_id, superseded_at=at, superseded_issued_by=ISSUER)
        else:
            seeded.append(Seeded(replace(older, state=CertificateState.DEACTIVATED), "INACTIVE"))
            event("certificate deactivated", "sweep", DAY, older.certificate_id)
    if is_blocked or is_removed:
        seeded = [Seeded(replace(newest, state=CertificateState.DEACTIVATED), "INACTIVE")]
        device = replace(device, state=State.BLOCKED)
        event("blocked", "user/alice", DAY)
        event("certificate deactivated", "user/alice", DAY - 1, newest.certificate_id)
    if is_removed:
        event("removed", "user/alice", DAY - 2, fingerprint)
    else:
        pk, sk = key_key(fingerprint)
        put({"pk": pk, "sk": sk, "device": name})
        put(device_item(name, device.state, now) | {**fields_of(device), "name": None, "state": device.state})
    for each in seeded:
        put(certificate_item(each.certificate))
    yield from seeded


def _certificate(name: str, fingerprint: str, generation: int, not_before: int) -> Certificate:
    digest = hashlib.sha256(f"{name} {generation}".encode()).hexdigest()
    return Certificate(
        device=name,
        certificate_id=digest,
        pem=_PEM,
        fingerprint=fingerprint,
        serial=digest[:40],
        not_before=not_before,
        not_after=not_before + LIFE,
        issued_by=ISSUER,
        state=CertificateState.ACTIVE,
        updated_at=not_before,
    )


def _broken(each: Seeded, number: int) -> Seeded:
    match number // 100 % 3:
        case 0:
            return replace(each, status=None)
        case 1:
            return replace(each, status="INACTIVE")
        case _:
            return replace(each, is_permitted=False)


def _table() -> dict[str, Any]:
    """As ``infra.ledger_table`` declares it."""
    return {
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk", "listing")],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "listing",
                "KeySchema": [
                    {"AttributeName": "listing", "KeyType": "HASH"},
                    {"AttributeName": "pk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(LISTED_ATTRIBUTES)},
            }
        ],
    }


def sizes(items: Any) -> tuple[int, int]:
    """Bytes of the table and of its index."""
    listed = {"pk", "sk", "listing", *LISTED_ATTRIBUTES}
    table = index = 0
    for collection in items.values():
        for item in collection.values():
            table += _bytes_of(item)
            if "listing" in item:
                index += _bytes_of({name: value for name, value in item.items() if name in listed})
    return table, index


def _bytes_of(item: dict[str, Any]) -> int:
    """As DynamoDB counts (Developer Guide, "Item sizes and formats"): names, texts in UTF-8, half a byte a digit."""
    return sum(
        len(name) + (len(value["N"]) // 2 + 1 if "N" in value else len(str(next(iter(value.values()))).encode()))
        for name, value in item.items()
    )


def _hasten() -> None:
    """Let the emulator find the next page of a Scan by bisection: it compares each item of the table otherwise, and
    the benchmark would measure that.
    """
    from ministack.services import dynamodb

    def after(items: list[Any], start: dict[str, Any], table: dict[str, Any]) -> list[Any]:
        def key(item: dict[str, Any]) -> tuple[str, str]:
            return item["pk"]["S"], item["sk"]["S"]

        return items[bisect_right(items, key(start), key=key) :]

    dynamodb._apply_exclusive_start_key_scan = after


def main() -> None:
    from ministack import app

    from sandbox import emulated_pages

    devices, with_faults = int(sys.argv[1]), sys.argv[2] == "faults"
    sys.argv[1:] = []
    emulated_pages.install()
    _hasten()
    install(devices, with_faults=with_faults)
    app.main()


if __name__ == "__main__":
    main()
