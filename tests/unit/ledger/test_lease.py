"""A lease and a claim rest on what was read a moment ago, and hold only if it is so still, whatever reply is lost."""

from dataclasses import replace

import pytest

from ledger import Blocked, Busy, LeaseLost, NotInvited, ThingProfile, TokenExpired
from tests.support.ledger import KEY, NOW, OTHER_KEY, TOKEN_HASH, begin, certificate, claim, enroll, invite


@pytest.fixture
def allowed(ledger):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    return ledger.device("pi-1")


def lease(ledger, known, lease="mine", now=NOW, **options):
    return ledger.acquire_lease(
        "pi-1", fingerprint=KEY, lease=lease, lease_until=now + 25, now=now, known=known, **options
    )


def test_a_lease_whose_reply_was_lost_is_got_by_the_same_request_again_and_by_no_other(ledger, allowed):
    first = lease(ledger, allowed, turn=7)
    assert first == ledger.device("pi-1")
    assert lease(ledger, allowed, turn=7) == first
    with pytest.raises(Busy):
        lease(ledger, allowed, "other")
    with pytest.raises(Busy):
        lease(ledger, first, "other")


def test_a_lease_that_was_given_back_is_given_back_again_and_never_for_another(ledger, allowed):
    lease(ledger, allowed)
    for _ in range(2):
        ledger.release("pi-1", lease="mine")
    lease(ledger, ledger.device("pi-1"), "other")
    ledger.release("pi-1", lease="mine")
    with pytest.raises(Busy):
        lease(ledger, ledger.device("pi-1"), "third")


def test_a_device_that_was_blocked_or_removed_since_it_was_read_gets_no_lease(ledger, allowed):
    ledger.block("pi-1", by="alice", now=NOW)
    with pytest.raises(Blocked):
        lease(ledger, allowed)
    ledger.remove("pi-1", by="alice", now=NOW)
    with pytest.raises(NotInvited, match="no device"):
        lease(ledger, allowed)
    ledger.allow("pi-1", fingerprint=OTHER_KEY, by="alice", now=NOW)
    with pytest.raises(NotInvited, match="another key"):
        lease(ledger, allowed)


def test_a_claim_tells_what_the_device_is_without_reading_it_again(ledger):
    invite(ledger)
    assert claim(ledger) == ledger.device("pi-1")


def test_a_claim_holds_only_while_its_token_does(ledger):
    """What an operator did between the look at the token and the write that spends it, and an invitation's end."""

    def claim_later(known, now=NOW):
        return ledger.claim(
            "pi-1", fingerprint=KEY, token_hash=TOKEN_HASH, lease="mine", lease_until=0, now=now, known=known
        )

    invite(ledger, expires=NOW + 60)
    known = ledger.check_token("pi-1", fingerprint=KEY, token_hash=TOKEN_HASH, now=NOW)
    with pytest.raises(TokenExpired):
        claim_later(known, NOW + 60)
    invite(ledger, token_hash="second token")
    with pytest.raises(NotInvited):
        claim_later(known)
    invite(ledger)
    ledger.block("pi-1", by="alice", now=NOW)
    with pytest.raises(Blocked):
        claim_later(known)
    assert (ledger.device("pi-1").state, ledger.device_of_key(KEY)) == ("blocked", None)


def test_a_claim_does_not_rest_on_a_thing_that_was_changed_since_the_token_was_looked_at(ledger):
    invite(ledger)
    known = ledger.check_token("pi-1", fingerprint=KEY, token_hash=TOKEN_HASH, now=NOW)
    profile = ThingProfile(groups=("roof",))
    ledger.set_profile("pi-1", profile, before=ThingProfile(), by="alice", now=NOW)
    for stale in (known, replace(known, thing=ThingProfile(groups=("cellar",)).encode())):
        with pytest.raises(Busy):
            ledger.claim(
                "pi-1", fingerprint=KEY, token_hash=TOKEN_HASH, lease="mine", lease_until=0, now=NOW, known=stale
            )
    assert claim(ledger).profile == profile


def test_a_certificate_becomes_current_only_in_the_place_of_the_one_that_was_current(ledger, allowed):
    enroll(ledger, 1)
    stale = begin(ledger)
    ledger.record_certificate(certificate(2), lease="mine", now=NOW)
    with pytest.raises(LeaseLost):
        ledger.make_current(certificate(2), lease="mine", now=NOW, known=replace(stale, certificate_id=None))
    assert ledger.make_current(certificate(2), lease="mine", now=NOW, known=stale)
    assert ledger.device("pi-1").superseded == certificate(1).certificate_id


def test_a_certificate_that_was_given_up_is_not_recorded_made_current_or_given_up_again(ledger, allowed):
    begin(ledger)
    ledger.record_certificate(certificate(), lease="mine", now=NOW)
    ledger.abandon(certificate(), lease="mine", now=NOW)
    with pytest.raises(LeaseLost):
        ledger.record_certificate(certificate(), lease="mine", now=NOW)
    ledger.record_certificate(certificate(2), lease="mine", now=NOW)
    with pytest.raises(LeaseLost):
        ledger.make_current(certificate(), lease="mine", now=NOW)
    with pytest.raises(LeaseLost):
        ledger.abandon(certificate(), lease="mine", now=NOW)
    assert [each.state for each in ledger.certificates("pi-1")] == ["abandoned", "recorded"]


def test_a_turn_is_kept_for_the_device_that_was_read_and_once(ledger, allowed):
    ledger.keep_turn(allowed, 7)
    ledger.keep_turn(allowed, 7)
    with pytest.raises(Busy):
        ledger.keep_turn(allowed, 8)
    ledger.keep_turn(ledger.device("pi-1"), 8)
    assert ledger.device("pi-1").turn == 8
    assert ledger.device("pi-1").state == "invited"


def test_no_turn_is_kept_for_a_device_that_is_blocked_another_s_or_past_its_turn(ledger, allowed):
    ledger.block("pi-1", by="alice", now=NOW)
    with pytest.raises(Busy):
        ledger.keep_turn(allowed, 7)
    ledger.remove("pi-1", by="alice", now=NOW)
    ledger.allow("pi-1", fingerprint=OTHER_KEY, by="alice", now=NOW)
    with pytest.raises(Busy):
        ledger.keep_turn(allowed, 7)
    at_work = begin(ledger, fingerprint=OTHER_KEY)
    ledger.record_certificate(certificate(fingerprint=OTHER_KEY), lease="mine", now=NOW)
    with pytest.raises(Busy):
        ledger.keep_turn(at_work, 7)
    ledger.make_current(certificate(fingerprint=OTHER_KEY), lease="mine", now=NOW)
    enrolled = ledger.device("pi-1")
    enroll(ledger, 2, fingerprint=OTHER_KEY)
    with pytest.raises(Busy):
        ledger.keep_turn(enrolled, 7)
    assert ledger.device("pi-1").turn is None
