"""The signatures of a CA are counted before they are made, and what is forgotten on purpose is counted too."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from ledger import Busy, Ledger, SignatureCount
from tests.support.aws_faults import Faults, Killed
from tests.support.ledger import CA, KEY, NOW, certificate, enroll, invite

OTHER_CA = "e" * 64


def test_each_ca_has_a_count_of_its_own_and_one_that_never_signed_has_none(ledger):
    for ca in (CA, CA, OTHER_CA):
        ledger.count_signature(ca)
    counts = ledger.signatures([CA, OTHER_CA, "f" * 64])
    assert counts == {
        CA: SignatureCount(made=2),
        OTHER_CA: SignatureCount(made=1),
        "f" * 64: SignatureCount(made=0, erased=0),
    }


def test_no_signature_is_lost_when_many_are_counted_at_once(ledger):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ledger.count_signature(CA), range(40)))
    assert ledger.signatures([CA])[CA].made == 40


def test_a_count_is_one_write_and_no_transaction_which_would_refuse_devices_that_enroll_together(breakable_aws, table):
    client, faults = breakable_aws("dynamodb"), Faults()
    faults.watch(client)
    Ledger(client=client, table=table).count_signature(CA)
    assert faults.calls == ["UpdateItem"]


@pytest.fixture
def erasable(ledger):
    """A device with two certificates, of the CA and of another."""
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    enroll(ledger, 1)
    begun = replace(certificate(2), issued_by=OTHER_CA)
    ledger.acquire_lease("pi-1", fingerprint=KEY, lease="mine", lease_until=NOW + 25, now=NOW)
    ledger.record_certificate(begun, lease="mine", now=NOW)
    for ca in (CA, OTHER_CA):
        ledger.count_signature(ca)


def test_an_erased_device_leaves_its_certificates_count_alone_whatever_its_state_and_however_long_its_history(
    ledger, items, erasable, monkeypatch
):
    invite(ledger, "pi-2")
    monkeypatch.setattr("ledger.erasure.MAX_WRITES", 8)
    ledger.erase("pi-1")
    counts = {CA: SignatureCount(made=1, erased=1), OTHER_CA: SignatureCount(made=1, erased=1)}
    assert ledger.signatures([CA, OTHER_CA]) == counts
    left = {each["pk"]["S"] for each in items()}
    assert left == {"device#pi-2", f"signatures#{CA}", f"signatures#{OTHER_CA}"}
    ledger.erase("pi-1")
    ledger.erase("nobody")
    assert ledger.signatures([CA, OTHER_CA]) == counts


@pytest.mark.parametrize("kind", ["refused", "killed"])
@pytest.mark.parametrize("position", range(5))
def test_an_erasure_that_is_interrupted_and_repeated_counts_each_certificate_once(
    breakable_aws, ledger, table, erasable, monkeypatch, position, kind
):
    monkeypatch.setattr("ledger.erasure.MAX_WRITES", 8)
    client = breakable_aws("dynamodb")
    faults = Faults(position=2 + position, kind=kind)  # after the two reads that nothing depends on
    faults.watch(client)
    with pytest.raises((ClientError, Killed)):
        Ledger(client=client, table=table).erase("pi-1")
    ledger.erase("pi-1")
    assert ledger.signatures([CA, OTHER_CA]) == {
        CA: SignatureCount(made=1, erased=1),
        OTHER_CA: SignatureCount(made=1, erased=1),
    }


def test_of_two_erasures_at_once_one_is_told_so_and_nothing_is_counted_twice(ledger, erasable, monkeypatch):
    found = ledger._table.query("device#pi-1")
    items = list(found)
    ledger.erase("pi-1")
    monkeypatch.setattr(ledger._table, "query", lambda pk, **_: iter(items))
    with pytest.raises(Busy):
        ledger.erase("pi-1")
    monkeypatch.undo()
    assert ledger.signatures([CA])[CA].erased == 1


def test_of_a_ca_whose_signatures_nobody_counts_nothing_is_counted_and_nothing_stays(ledger, items):
    """Amazon's, and those outside AWS."""
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    enroll(ledger)
    ledger.erase("pi-1")
    assert items() == []
