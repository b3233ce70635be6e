"""Keys without an invitation: how many may wait, and what becomes of them."""

import pytest

from ledger import (
    Blocked,
    RequestsFull,
    WrongState,
)
from ledger.waiting_keys import REQUEST_LIFE
from tests.support.ledger import KEY, NOW


def fingerprint(number):
    return f"SHA256:{number:043d}"


def test_an_unknown_key_waits_for_approval_and_asking_again_changes_nothing(ledger, items):
    first = ledger.hold_for_approval(fingerprint=KEY, suggested_name="pi-1", now=NOW)
    before = items()
    assert ledger.hold_for_approval(fingerprint=KEY, suggested_name="another", now=NOW + 1) == first
    assert items() == before
    assert ledger.requests() == [first]


def test_an_approved_key_is_allowed_and_waits_no_longer(ledger):
    ledger.hold_for_approval(fingerprint=KEY, suggested_name="", now=NOW)
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW, approved=True)
    assert ledger.requests() == []
    assert ledger.device_of_key(KEY).name == "pi-1"
    assert [each.what for each in ledger.history("pi-1")] == ["approved"]


def test_a_key_that_does_not_wait_cannot_be_approved_or_rejected(ledger):
    with pytest.raises(WrongState, match="waits for approval"):
        ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW, approved=True)
    with pytest.raises(WrongState, match="waits for approval"):
        ledger.reject(KEY, now=NOW)
    assert ledger.device("pi-1") is None


def test_approving_a_key_that_was_allowed_meanwhile_ends_its_waiting(ledger):
    ledger.hold_for_approval(fingerprint=KEY, suggested_name="", now=NOW)
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW, approved=True)
    assert ledger.requests() == []


def test_a_rejected_key_is_refused_until_its_rejection_is_forgotten(ledger):
    ledger.hold_for_approval(fingerprint=KEY, suggested_name="", now=NOW)
    ledger.reject(KEY, now=NOW + 5)
    with pytest.raises(Blocked):
        ledger.hold_for_approval(fingerprint=KEY, suggested_name="", now=NOW + 6)
    again = ledger.hold_for_approval(fingerprint=KEY, suggested_name="", now=NOW + 5 + REQUEST_LIFE)
    assert not again.rejected


def test_strangers_can_only_fill_the_list_to_its_bound_and_rejecting_them_makes_room(ledger, monkeypatch):
    monkeypatch.setattr("ledger.waiting_keys.MAX_REQUESTS", 10)
    for number in range(10):
        ledger.hold_for_approval(fingerprint=fingerprint(number), suggested_name="", now=NOW)
    with pytest.raises(RequestsFull):
        ledger.hold_for_approval(fingerprint=KEY, suggested_name="", now=NOW)
    assert ledger.hold_for_approval(fingerprint=fingerprint(7), suggested_name="", now=NOW).fingerprint == fingerprint(
        7
    )
    ledger.reject(fingerprint(0), now=NOW)
    ledger.hold_for_approval(fingerprint=KEY, suggested_name="", now=NOW)
    assert len(ledger.requests()) == 10 + 1


def test_each_source_has_a_share_of_those_that_wait(ledger, monkeypatch):
    monkeypatch.setattr("ledger.waiting_keys.MAX_REQUESTS_OF_SOURCE", 3)
    for number in range(3):
        ledger.hold_for_approval(fingerprint=fingerprint(number), suggested_name="", source="a", now=NOW)
    with pytest.raises(RequestsFull, match="3 keys from your address"):
        ledger.hold_for_approval(fingerprint=KEY, suggested_name="", source="a", now=NOW)
    ledger.hold_for_approval(fingerprint=fingerprint(0), suggested_name="", source="a", now=NOW)  # it waits already
    assert ledger.hold_for_approval(fingerprint=KEY, suggested_name="", source="b", now=NOW).source == "b"
    ledger.reject(fingerprint(1), now=NOW)
    ledger.hold_for_approval(fingerprint=fingerprint(4), suggested_name="", source="a", now=NOW)


def test_keys_that_were_rejected_are_bounded_too(ledger, monkeypatch):
    monkeypatch.setattr("ledger.waiting_keys.MAX_KEPT_REQUESTS", 2)
    for number in range(2):
        ledger.hold_for_approval(fingerprint=fingerprint(number), suggested_name="", source="a", now=NOW)
    ledger.reject_all([fingerprint(0), fingerprint(1)], now=NOW)
    with pytest.raises(RequestsFull):
        ledger.hold_for_approval(fingerprint=KEY, suggested_name="", source="b", now=NOW)
    ledger.hold_for_approval(fingerprint=KEY, suggested_name="", source="b", now=NOW + REQUEST_LIFE)


def test_one_source_cannot_fill_by_rejected_keys_what_is_kept_of_all(ledger, monkeypatch):
    monkeypatch.setattr("ledger.waiting_keys.MAX_KEPT_REQUESTS_OF_SOURCE", 2)
    for number in range(2):
        ledger.hold_for_approval(fingerprint=fingerprint(number), suggested_name="", source="a", now=NOW)
        ledger.reject(fingerprint(number), now=NOW)
    with pytest.raises(RequestsFull, match="from your address were rejected"):
        ledger.hold_for_approval(fingerprint=KEY, suggested_name="", source="a", now=NOW)
    ledger.hold_for_approval(fingerprint=KEY, suggested_name="", source="b", now=NOW)
    ledger.hold_for_approval(fingerprint=fingerprint(3), suggested_name="", source="a", now=NOW + REQUEST_LIFE)


def test_a_request_of_the_first_release_has_no_source_and_goes_on(ledger, aws):
    item = {"pk": "requests", "sk": KEY, "fingerprint": KEY, "suggested_name": "pi-1"}
    times = {"requested_at": NOW, "expires_at": NOW + 60}
    ledger._table.write(ledger._table.put(item | times | {"rejected": False}))
    (request,) = ledger.requests()
    assert (request.fingerprint, request.source) == (KEY, "")
    assert ledger.hold_for_approval(fingerprint=KEY, suggested_name="", source="a", now=NOW) == request


def test_many_keys_are_rejected_at_once_and_what_waits_no_more_is_left_alone(ledger):
    for number in range(130):
        ledger.hold_for_approval(fingerprint=fingerprint(number), suggested_name="", now=NOW)
    ledger.reject(fingerprint(0), now=NOW)
    chosen = [fingerprint(number) for number in range(120)]
    done = ledger.reject_all([*chosen, KEY], now=NOW + 5)
    assert sorted(done) == sorted(chosen)
    assert sum(each.rejected for each in ledger.requests()) == 120
    assert all(each.expires_at == NOW + 5 + REQUEST_LIFE for each in ledger.requests() if each.fingerprint in done)
    assert sorted(ledger.reject_all(chosen, now=NOW + 6)) == sorted(chosen)


def test_a_key_that_is_approved_while_many_are_rejected_stops_none_of_the_others(ledger, monkeypatch):
    keys = [fingerprint(number) for number in range(3)]
    for each in keys:
        ledger.hold_for_approval(fingerprint=each, suggested_name="", now=NOW)
    waiting = ledger.requests()
    ledger.allow("pi-1", fingerprint=keys[1], by="alice", now=NOW, approved=True)
    monkeypatch.setattr(ledger, "requests", lambda: waiting)
    assert sorted(ledger.reject_all(keys, now=NOW)) == sorted([keys[0], keys[2]])
