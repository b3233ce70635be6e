"""What the ledger remembers of devices, certificates and keys beyond their states."""

import pytest

from ledger import (
    LISTED_ATTRIBUTES,
    Blocked,
    Busy,
    CertificateAuthority,
    CertificateState,
    KeyTaken,
    LeaseLost,
    NotInvited,
    State,
    TokenExpired,
    TokenSpent,
    WrongState,
)
from ledger.operators import INVITATION_LINGERS
from tests.support.ledger import CA, KEY, NOW, OTHER_KEY, TOKEN_HASH, begin, certificate, claim, enroll, invite


def fingerprint(number):
    return f"SHA256:{number:043d}"


def test_a_token_is_only_good_once_and_the_second_key_learns_why(ledger):
    invite(ledger)
    claim(ledger)
    with pytest.raises(TokenSpent):
        claim(ledger, fingerprint=OTHER_KEY)


def test_a_second_invitation_makes_the_first_token_worthless(ledger):
    invite(ledger)
    invite(ledger, token_hash="second token")
    with pytest.raises(NotInvited):
        claim(ledger)
    assert claim(ledger, token_hash="second token").fingerprint == KEY


def test_a_claimed_token_leaves_nothing_behind_that_could_be_used_again(ledger, items):
    invite(ledger)
    claim(ledger)
    (device,) = (item for item in items() if item["sk"]["S"] == "device")
    assert not {"token_hash", "token_expires", "expires_at"} & device.keys()


def test_an_invitation_that_nobody_used_is_deleted_by_dynamodb_a_month_after_its_end(ledger, items):
    invite(ledger, expires=NOW + 60)
    (device,) = (item for item in items() if item["sk"]["S"] == "device")
    assert device["expires_at"] == {"N": str(NOW + 60 + INVITATION_LINGERS)}


def test_a_blocked_invitation_is_not_deleted_so_that_it_stays_blocked(ledger, items):
    invite(ledger)
    ledger.block("pi-1", by="alice", now=NOW)
    (device,) = (item for item in items() if item["sk"]["S"] == "device")
    assert "expires_at" not in device


def test_a_device_that_is_unblocked_is_what_it_was_in_all_but_its_history(ledger, items):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    enroll(ledger)
    before = items()
    ledger.block("pi-1", by="bob", now=NOW)
    ledger.unblock("pi-1", by="bob", now=NOW)
    assert [each for each in items() if each["pk"]["S"] != "device#pi-1" or "what" not in each] == [
        each for each in before if "what" not in each
    ]


def test_a_key_of_another_device_can_neither_be_allowed_nor_claim(ledger):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    with pytest.raises(KeyTaken, match="'pi-1'"):
        ledger.allow("pi-2", fingerprint=KEY, by="alice", now=NOW)
    invite(ledger, "pi-2")
    with pytest.raises(KeyTaken):
        claim(ledger, "pi-2", fingerprint=KEY)
    assert ledger.device("pi-2").state is State.INVITED


def test_a_removed_device_leaves_its_name_and_its_key_free_and_its_past_on_record(ledger):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    issued = enroll(ledger)
    ledger.block("pi-1", by="alice", now=NOW)
    with pytest.raises(WrongState, match="still has a certificate in use"):
        ledger.remove("pi-1", by="alice", now=NOW)
    ledger.deactivated("pi-1", issued.certificate_id, by="alice", now=NOW)
    ledger.remove("pi-1", by="alice", now=NOW)
    assert ledger.device_of_key(KEY) is None
    assert [each.state for each in ledger.certificates("pi-1")] == [CertificateState.DEACTIVATED]
    assert [each.what for each in ledger.history("pi-1")][-2:] == ["certificate deactivated", "removed"]
    ledger.allow("pi-2", fingerprint=KEY, by="alice", now=NOW)
    invite(ledger, "pi-1")


def test_a_lease_that_ran_out_is_taken_over_and_the_late_one_changes_nothing_more(ledger):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    begin(ledger, lease="late")
    with pytest.raises(Busy) as busy:
        begin(ledger, lease="next", now=NOW + 24)
    assert busy.value.retry_after == 1
    begin(ledger, lease="next", now=NOW + 25)
    with pytest.raises(LeaseLost):
        ledger.record_certificate(certificate(), lease="late", now=NOW + 25)
    ledger.record_certificate(certificate(), lease="next", now=NOW + 25)


def test_a_lease_is_only_given_back_by_its_owner(ledger):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    begin(ledger, lease="mine")
    ledger.release("pi-1", lease="yours")
    with pytest.raises(Busy):
        begin(ledger, lease="next")
    ledger.release("pi-1", lease="mine")
    ledger.release("nobody", lease="mine")
    begin(ledger, lease="next")


def test_a_recorded_certificate_is_there_again_byte_for_byte(ledger):
    invite(ledger)
    claim(ledger)
    ledger.record_certificate(certificate(), lease="mine", now=NOW)
    assert ledger.device("pi-1").unfinished == certificate().certificate_id
    assert ledger.certificate("pi-1", certificate().certificate_id) == certificate()


def test_a_renewal_supersedes_the_certificate_before_and_says_so_until_that_one_is_off(ledger):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    first = enroll(ledger, 1)
    second = enroll(ledger, 2, now=NOW + 2000)
    device = ledger.device("pi-1")
    assert (device.certificate_id, device.not_after) == (second.certificate_id, second.not_after)
    assert (device.superseded, device.superseded_at) == (first.certificate_id, NOW + 2000)
    assert (device.issued_by, device.superseded_issued_by) == (CA, CA)
    assert [each.state for each in ledger.certificates("pi-1")] == ["superseded", "active"]
    ledger.deactivated("pi-1", first.certificate_id, by="enrollment", now=NOW + 2001)
    device = ledger.device("pi-1")
    assert (device.superseded, device.superseded_at, device.superseded_issued_by) == (None, None, None)
    assert [each.state for each in ledger.certificates("pi-1")] == ["deactivated", "active"]


def test_an_abandoned_certificate_makes_room_for_another(ledger):
    invite(ledger)
    claim(ledger)
    ledger.record_certificate(certificate(1), lease="mine", now=NOW)
    ledger.abandon(certificate(1), lease="mine", now=NOW)
    ledger.record_certificate(certificate(2), lease="mine", now=NOW)
    ledger.make_current(certificate(2), lease="mine", now=NOW)
    assert [each.state for each in ledger.certificates("pi-1")] == ["abandoned", "active"]


def test_switching_a_certificate_off_twice_is_switching_it_off_once(ledger, items):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    issued = enroll(ledger)
    ledger.deactivated("pi-1", issued.certificate_id, by="alice", now=NOW)
    before = items()
    ledger.deactivated("pi-1", issued.certificate_id, by="alice", now=NOW)
    assert items() == before


def test_a_certificate_that_was_never_issued_cannot_be_switched_off(ledger):
    invite(ledger)
    with pytest.raises(WrongState, match="never had a certificate"):
        ledger.deactivated("pi-1", "0" * 64, by="alice", now=NOW)


def test_only_the_current_certificate_of_a_device_that_is_not_blocked_is_switched_on_again(ledger):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    first, second = enroll(ledger, 1), enroll(ledger, 2, now=NOW + 2000)
    with pytest.raises(WrongState, match="another certificate"):
        ledger.reactivated("pi-1", first.certificate_id, by="alice", now=NOW)
    ledger.block("pi-1", by="alice", now=NOW)
    ledger.deactivated("pi-1", second.certificate_id, by="alice", now=NOW)
    with pytest.raises(Blocked):
        ledger.reactivated("pi-1", second.certificate_id, by="alice", now=NOW)
    ledger.unblock("pi-1", by="alice", now=NOW)
    ledger.reactivated("pi-1", second.certificate_id, by="alice", now=NOW)
    assert ledger.certificate("pi-1", second.certificate_id).state is CertificateState.ACTIVE


def test_a_csr_waits_and_a_newer_one_takes_its_place_without_growing_younger_or_being_news(ledger):
    invite(ledger)
    claim(ledger)
    ledger.queue_csr("pi-1", csr="first CSR", lease="mine", now=NOW)
    history = ledger.history("pi-1")
    begin(ledger, now=NOW + 60)
    ledger.queue_csr("pi-1", csr="second CSR", lease="mine", now=NOW + 60)
    device = ledger.device("pi-1")
    assert (device.csr, device.csr_at) == ("second CSR", NOW)
    assert ledger.history("pi-1") == history
    enroll(ledger, now=NOW + 120)
    device = ledger.device("pi-1")
    assert (device.csr, device.csr_at) == (None, None)


def test_the_listing_has_all_of_each_device_but_its_csr(ledger):
    ledger.allow("pi-2", fingerprint=OTHER_KEY, by="alice", now=NOW)
    enroll(ledger, 1, device="pi-2", fingerprint=OTHER_KEY)
    enroll(ledger, 2, device="pi-2", fingerprint=OTHER_KEY, now=NOW + 2000)
    begin(ledger, "pi-2", fingerprint=OTHER_KEY, now=NOW + 4000)
    ledger.queue_csr("pi-2", csr="CSR", lease="mine", now=NOW + 4000)
    invite(ledger, "pi-1")
    listed = list(ledger.devices())
    assert [each.name for each in listed] == ["pi-1", "pi-2"]
    assert listed[0] == ledger.device("pi-1")
    assert listed[1].csr is None
    assert vars(listed[1]) | {"csr": "CSR"} == vars(ledger.device("pi-2"))


def test_the_listing_is_no_more_than_an_index_may_hold(ledger):
    assert len(LISTED_ATTRIBUTES) <= 20  # DynamoDB quota: projected attributes of one index
    assert not {"csr", "pem", "token_hash"} & set(LISTED_ATTRIBUTES)


def test_the_history_is_in_order_also_within_a_second(ledger):
    invite(ledger)
    claim(ledger)
    for _ in range(3):
        ledger.block("pi-1", by="bob", now=NOW)
        ledger.unblock("pi-1", by="bob", now=NOW)
    history = ledger.history("pi-1")
    assert [each.what for each in history] == ["invited", "claimed", *["blocked", "unblocked"] * 3]
    assert [each.by for each in history[:3]] == ["alice", "device", "bob"]


def test_a_ca_is_kept_once_for_its_key(ledger):
    first = CertificateAuthority(
        name="2026", key_arn="arn:1", subject="CN=CA", certificate_pem="PEM", verification_pem="PEM", validity_years=20
    )
    second = CertificateAuthority(**vars(first) | {"certificate_pem": "another PEM"})
    other_key = CertificateAuthority(**vars(first) | {"key_arn": "arn:2"})
    assert ledger.certificate_authority("arn:1") is None
    assert ledger.keep_certificate_authority(first) == first
    assert ledger.keep_certificate_authority(second) == first
    assert ledger.keep_certificate_authority(other_key) == other_key
    assert ledger.certificate_authority("arn:1") == first
    assert {each.key_arn: each for each in ledger.certificate_authorities()} == {"arn:1": first, "arn:2": other_key}
    assert list(ledger.devices()) == []


def test_a_lease_that_ends_while_its_refusal_is_explained_is_asked_for_again_in_a_second(ledger):
    invite(ledger)
    claim(ledger)
    ledger.release("pi-1", lease="mine")
    assert ledger._busy("pi-1", NOW).retry_after == 1


def test_a_token_is_judged_by_one_read(ledger):
    def judged(name="pi-1", *, key=KEY, token=TOKEN_HASH, now=NOW):
        ledger.check_token(name, fingerprint=key, token_hash=token, now=now)

    with pytest.raises(NotInvited, match="no invitation for a device 'pi-1'"):
        judged()
    invite(ledger, expires=NOW + 60)
    judged()
    judged(now=NOW + 59)
    with pytest.raises(TokenExpired):
        judged(now=NOW + 60)
    with pytest.raises(NotInvited, match="not the token"):
        judged(token="e" * 64)
    with pytest.raises(NotInvited, match="not the token"):
        judged(token="")
    claim(ledger)
    judged()  # the key that has claimed it is told by the claim
    with pytest.raises(TokenSpent):
        judged(key=OTHER_KEY)
    ledger.block("pi-1", by="alice", now=NOW)
    with pytest.raises(Blocked):
        judged()
    with pytest.raises(TokenSpent):
        judged(key=OTHER_KEY)
