"""Several at once: names and keys stay unique, a token is spent once, one request works at a time."""

from collections import Counter

import pytest

from ledger import Busy, CertificateState, KeyTaken, State, TokenSpent, WrongState
from tests.support.ledger import KEY, NOW, THREADS, begin, certificate, claim, invite

ROUNDS = range(3)


def key(number):
    return f"SHA256:{number:043d}"


@pytest.mark.parametrize("_", ROUNDS)
def test_one_name_goes_to_one_of_many_keys(ledger, at_once, _):
    results = Counter(
        at_once(lambda ledger, number: ledger.allow("pi-1", fingerprint=key(number), by="alice", now=NOW))
    )
    assert results["done"] == 1
    assert results.keys() <= {"done", WrongState, Busy}
    taken = [number for number in range(THREADS) if ledger.device_of_key(key(number))]
    assert [ledger.device("pi-1").fingerprint] == [key(number) for number in taken]


@pytest.mark.parametrize("_", ROUNDS)
def test_one_key_goes_to_one_of_many_names(ledger, at_once, _):
    results = Counter(
        at_once(lambda ledger, number: ledger.allow(f"pi-{number}", fingerprint=KEY, by="alice", now=NOW))
    )
    assert results["done"] == 1
    assert results.keys() <= {"done", KeyTaken, Busy}
    assert [each.name for each in ledger.devices()] == [ledger.device_of_key(KEY).name]


@pytest.mark.parametrize("_", ROUNDS)
def test_one_token_binds_to_one_of_many_keys(ledger, at_once, _):
    invite(ledger)
    results = Counter(
        type(each) if not isinstance(each, type) else each
        for each in at_once(lambda ledger, number: claim(ledger, fingerprint=key(number), lease=str(number)))
    )
    assert results.pop(type(ledger.device("pi-1"))) == 1
    assert results.keys() <= {TokenSpent, Busy}
    assert [key(number) for number in range(THREADS) if ledger.device_of_key(key(number))] == [
        ledger.device("pi-1").fingerprint
    ]


@pytest.mark.parametrize("_", ROUNDS)
def test_one_key_with_many_tokens_becomes_one_device(ledger, at_once, _):
    for number in range(THREADS):
        invite(ledger, f"pi-{number}")
    results = at_once(lambda ledger, number: claim(ledger, f"pi-{number}") and None)
    assert results.count("done") == 1
    assert set(results) <= {"done", KeyTaken, Busy}
    assert [each.name for each in ledger.devices() if each.state is State.PENDING] == [ledger.device_of_key(KEY).name]


@pytest.mark.parametrize("_", ROUNDS)
def test_of_many_requests_for_one_key_one_works(ledger, at_once, _):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    results = at_once(lambda ledger, number: begin(ledger, lease=str(number)) and None)
    assert Counter(results) == {"done": 1, Busy: THREADS - 1}


@pytest.mark.parametrize("_", ROUNDS)
def test_a_device_that_is_blocked_while_it_enrolls_stays_blocked(ledger, at_once, _):
    invite(ledger)
    claim(ledger)
    ledger.record_certificate(certificate(), lease="mine", now=NOW)

    def finish_or_block(ledger, number):
        if number:
            ledger.block("pi-1", by="alice", now=NOW)
        else:
            ledger.make_current(certificate(), lease="mine", now=NOW)

    finished, blocked = at_once(finish_or_block, 2)
    if blocked is Busy:  # the other write was on its way; the operator is told to repeat
        ledger.block("pi-1", by="alice", now=NOW)
    assert ledger.device("pi-1").state is State.BLOCKED
    state = ledger.certificates("pi-1")[0].state
    assert state is (CertificateState.ACTIVE if finished == "done" else CertificateState.RECORDED)


@pytest.mark.parametrize("_", ROUNDS)
def test_an_unknown_key_that_asks_many_times_at_once_waits_once(ledger, at_once, _):
    results = at_once(lambda ledger, _: ledger.hold_for_approval(fingerprint=KEY, suggested_name="", now=NOW) and None)
    assert "done" in results
    assert set(results) <= {"done", Busy}
    assert len(ledger.requests()) == 1


def test_keys_that_ask_together_are_counted_with_each_other(ledger, at_once, monkeypatch):
    """Or else API Gateway's burst of 1,000 would be how many more strangers could make the table hold."""
    monkeypatch.setattr("ledger.waiting_keys.MAX_REQUESTS_OF_SOURCE", 3)
    for burst in range(4):
        at_once(
            lambda ledger, number, burst=burst: (
                ledger.hold_for_approval(
                    fingerprint=key(100 * burst + number), suggested_name="", source="192.0.2.7", now=NOW
                )
                and None
            )
        )
    assert len(ledger.requests()) == 3
