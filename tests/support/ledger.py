"""A ledger's table, and the few things that its tests say again and again."""

import uuid

from ledger import LISTED_ATTRIBUTES, Certificate, CertificateState

NOW = 1_800_000_000
KEY, OTHER_KEY = "SHA256:" + "a" * 43, "SHA256:" + "b" * 43
CA = "c" * 64
TOKEN_HASH = "d" * 64
# That do something at the same moment.
THREADS = 8


def create_table(dynamodb, name=None):
    """A table as ``infra.ledger_table`` declares it, and its name."""
    name = name or f"ledger-{uuid.uuid4().hex}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk", "listing")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "listing",
                "KeySchema": [
                    {"AttributeName": "listing", "KeyType": "HASH"},
                    {"AttributeName": "pk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(LISTED_ATTRIBUTES)},
            }
        ],
    )
    return name


def certificate(number=1, *, device="pi-1", fingerprint=KEY, not_before=NOW, life=3000):
    return Certificate(
        device=device,
        certificate_id=f"{number:064x}",
        pem=f"PEM {number}",
        fingerprint=fingerprint,
        serial=f"{number:x}",
        not_before=not_before,
        not_after=not_before + life,
        issued_by=CA,
        state=CertificateState.RECORDED,
        updated_at=NOW,
    )


def invite(ledger, name="pi-1", *, token_hash=TOKEN_HASH, expires=NOW + 60, now=NOW):
    ledger.invite(name, token_hash=token_hash, token_expires=expires, by="alice", now=now)


def claim(ledger, name="pi-1", *, fingerprint=KEY, token_hash=TOKEN_HASH, lease="mine", now=NOW):
    return ledger.claim(
        name, fingerprint=fingerprint, token_hash=token_hash, lease=lease, lease_until=now + 25, now=now
    )


def begin(ledger, name="pi-1", *, fingerprint=KEY, lease="mine", now=NOW):
    return ledger.acquire_lease(name, fingerprint=fingerprint, lease=lease, lease_until=now + 25, now=now)


def enroll(ledger, number=1, *, now=NOW, **changes):
    """Take a key that may enroll to its certificate: lease, record, make current."""
    issued = certificate(number, not_before=now, **changes)
    begin(ledger, issued.device, fingerprint=issued.fingerprint, now=now)
    ledger.record_certificate(issued, lease="mine", now=now)
    ledger.make_current(issued, lease="mine", now=now)
    return issued
