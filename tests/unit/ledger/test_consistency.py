"""Reads must see the last write. The emulator's never lag behind, so the calls are looked at instead."""

from ledger import Ledger
from tests.support.ledger import KEY, NOW, begin, enroll


def test_all_reads_but_those_of_the_listing_see_the_last_write(dynamodb, table):
    reads = []

    def note(params, model, **_):
        if model.name in ("GetItem", "Query"):
            reads.append((params.get("IndexName"), params.get("ConsistentRead")))

    client = dynamodb
    client.meta.events.register("provide-client-params.dynamodb", note, unique_id="note")
    try:
        ledger = Ledger(client=client, table=table)
        ledger.hold_for_approval(fingerprint=KEY, suggested_name="", now=NOW)
        ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW, approved=True)
        issued = enroll(ledger)
        begin(ledger)
        ledger.device_of_key(KEY)
        ledger.certificate("pi-1", issued.certificate_id)
        ledger.certificates("pi-1")
        ledger.history("pi-1")
        ledger.requests()
        list(ledger.devices())
        ledger.erase("pi-1")
    finally:
        client.meta.events.unregister("provide-client-params.dynamodb", unique_id="note")
    assert ("listing", None) in reads
    assert {consistent for index, consistent in reads if index is None} == {True}
