"""Another key takes over a name: what stays, what is gone, and that the old key is nobody's from then on."""

import pytest

from ledger import Blocked, Busy, CertificateState, KeyTaken, LeaseLost, State, ThingProfile, WrongState
from tests.support.ledger import KEY, NOW, OTHER_KEY, TOKEN_HASH, begin, certificate, claim, enroll, invite

THIRD_KEY = "SHA256:" + "c" * 43


def replace(ledger, name="pi-1", *, now=NOW):
    return ledger.replace_by_token(name, token_hash=TOKEN_HASH, token_expires=now + 60, by="alice", now=now)


def replace_by(ledger, key, name="pi-1"):
    return ledger.replace_by_key(name, fingerprint=key, by="alice", now=NOW)


def allow(ledger, key, name="pi-1", **options):
    ledger.allow(name, fingerprint=key, by="alice", now=NOW, **options)


@pytest.fixture
def renewing(ledger):
    """An enrolled device with all that a device can have: two older certificates, and a renewal under way."""
    allow(ledger, KEY, profile=ThingProfile(attributes={"hall": "7"}, groups=("plant",)))
    for number in (7, 8, 9):
        enroll(ledger, number)
    ledger.ask_for_renewal("pi-1", by="alice", now=NOW)
    begin(ledger)
    ledger.record_certificate(certificate(1), lease="mine", now=NOW, at_most=9)
    return ledger


def test_what_belonged_to_the_old_key_is_gone_and_what_belongs_to_the_name_stays(renewing, dynamodb, table):
    before = renewing.device("pi-1")
    device = replace(renewing)
    assert (device.state, device.profile, device.replaced_at) == (State.INVITED, before.profile, NOW)
    item = dynamodb.get_item(TableName=table, Key={"pk": {"S": "device#pi-1"}, "sk": {"S": "device"}})["Item"]
    assert item.keys() - {"pk", "sk", "listing"} == {
        *("device", "state", "updated_at", "token_hash", "token_expires", "thing", "replaced_at", "keeps_thing")
    }, "also no time after which DynamoDB would forget the device"
    assert {each.state for each in renewing.certificates("pi-1")} == {CertificateState.DEACTIVATED}
    assert [each.name for each in renewing.devices()] == ["pi-1"]


def test_the_history_says_which_key_was_replaced_and_what_it_lost(renewing):
    count = len(renewing.history("pi-1"))
    replace_by(renewing, OTHER_KEY)
    events = {(each.what, each.by, each.detail) for each in renewing.history("pi-1")[count:]}
    lost = {certificate(number).certificate_id for number in (1, 7, 8, 9)}
    assert events == {
        ("replaced", "alice", KEY),
        ("allowed", "alice", OTHER_KEY),
        *(("certificate deactivated", "alice", each) for each in lost),
    }


def test_a_replaced_key_is_blocked_wherever_its_device_is_looked_for(renewing):
    replace(renewing)
    claim(renewing, fingerprint=OTHER_KEY)
    with pytest.raises(Blocked, match=f"{KEY} is blocked: another key has taken its place as device 'pi-1'"):
        renewing.device_of_key(KEY)
    assert renewing.device_of_key(OTHER_KEY).name == "pi-1"
    assert renewing.owner_of_key(KEY).replaced_at == NOW


def test_a_key_that_is_replaced_between_the_two_reads_is_blocked_too(renewing, dynamodb, table):
    replace(renewing)
    key = {"pk": {"S": f"key#{KEY}"}, "sk": {"S": "key"}}
    dynamodb.update_item(TableName=table, Key=key, UpdateExpression="REMOVE replaced_at")  # as the first read saw it
    with pytest.raises(Blocked):
        renewing.device_of_key(KEY)


def test_a_replaced_key_is_let_in_again_by_an_operator_who_names_it_and_by_nothing_else(renewing):
    replace(renewing)
    invite(renewing, "pi-2")
    with pytest.raises(Blocked):
        claim(renewing, "pi-2")
    with pytest.raises(Blocked):
        allow(renewing, KEY, "pi-3")
    with pytest.raises(Blocked):
        allow(renewing, KEY, "pi-3", approved=True)
    assert renewing.would_allow("pi-3", fingerprint=KEY, even_replaced=True)
    allow(renewing, KEY, "pi-3", even_replaced=True)
    assert renewing.device_of_key(KEY).name == "pi-3"
    assert begin(renewing, "pi-3").state is State.PENDING


def test_a_removed_device_s_replaced_key_stays_blocked(renewing):
    replace(renewing)
    renewing.remove("pi-1", by="alice", now=NOW)
    with pytest.raises(Blocked):
        renewing.device_of_key(KEY)
    allow(renewing, OTHER_KEY)
    assert renewing.device("pi-1").replaced_at is None


def test_the_first_key_can_come_back_and_then_the_second_is_blocked(renewing):
    replace_by(renewing, OTHER_KEY)
    enroll(renewing, 5, fingerprint=OTHER_KEY)
    assert replace_by(renewing, KEY).fingerprint == KEY
    assert renewing.device_of_key(KEY).state is State.INVITED
    with pytest.raises(Blocked):
        renewing.device_of_key(OTHER_KEY)


def test_a_key_of_another_device_does_not_take_over_a_name(renewing):
    allow(renewing, OTHER_KEY, "pi-2")
    for attempt in (replace_by, lambda ledger, key: ledger.would_replace("pi-1", fingerprint=key)):
        with pytest.raises(KeyTaken):
            attempt(renewing, OTHER_KEY)


def test_a_key_that_waits_for_approval_waits_no_longer_when_it_takes_over_a_name(renewing):
    renewing.hold_for_approval(fingerprint=OTHER_KEY, suggested_name="pi-1", now=NOW)
    replace_by(renewing, OTHER_KEY)
    assert renewing.requests() == []


def test_a_second_token_and_a_second_key_take_the_place_of_the_first(renewing):
    replace(renewing)
    first = renewing.device("pi-1")
    replace(renewing, now=NOW + 100)
    assert renewing.device("pi-1").token_expires == first.token_expires + 100
    replace_by(renewing, OTHER_KEY)
    replace_by(renewing, THIRD_KEY)
    with pytest.raises(Blocked):
        renewing.device_of_key(OTHER_KEY)
    assert renewing.device_of_key(THIRD_KEY).keeps_thing


@pytest.mark.parametrize("has_enrolled", [False, True])
def test_the_next_key_leaves_the_thing_alone_if_one_was_enrolled_with_it(ledger, has_enrolled):
    allow(ledger, KEY)
    if has_enrolled:
        enroll(ledger)
    replace(ledger)
    assert ledger.device("pi-1").keeps_thing is has_enrolled


def test_an_expired_invitation_of_a_replaced_device_waits_for_the_next_token(renewing):
    replace(renewing)
    with pytest.raises(WrongState, match="takes the place of the one it had"):
        invite(renewing, now=NOW + 3600)
    replace(renewing, now=NOW + 3600)
    assert claim(renewing, fingerprint=OTHER_KEY, now=NOW + 3600).state is State.PENDING


def test_a_blocked_device_that_was_replaced_waits_for_its_key_again_when_it_is_unblocked(renewing):
    replace(renewing)
    renewing.block("pi-1", by="alice", now=NOW)
    assert renewing.unblock("pi-1", by="alice", now=NOW).waits_for_another_key
    assert claim(renewing, fingerprint=OTHER_KEY).state is State.PENDING


def test_a_key_that_comes_back_after_its_renewal_was_under_way_cannot_complete_that_one(renewing):
    """The lease is gone, and the certificate is to be switched off, although the key is the same."""
    replace_by(renewing, OTHER_KEY)
    replace_by(renewing, KEY)
    with pytest.raises(Blocked, match="taken this certificate away"):
        renewing.make_current(certificate(1), lease="mine", now=NOW)


def test_a_device_that_changes_again_and_again_meanwhile_is_replaced_later(renewing, monkeypatch):
    known = renewing.device("pi-1")
    replace(renewing)
    claim(renewing, fingerprint=OTHER_KEY)
    monkeypatch.setattr(type(renewing), "_existing", lambda ledger, name: known)
    with pytest.raises(Busy):
        replace(renewing)


@pytest.mark.parametrize("_", range(2))
def test_a_request_that_completes_and_a_replacement_at_once_leave_nothing_in_use(renewing, at_once, _):
    def either(ledger, number):
        if number:
            replace(ledger)
        else:
            ledger.make_current(certificate(1), lease="mine", now=NOW)

    finished, replaced = at_once(either, 2)
    assert replaced == "done"
    assert finished in ("done", Blocked, LeaseLost)
    assert {each.state for each in renewing.certificates("pi-1")} == {CertificateState.DEACTIVATED}
    assert renewing.device("pi-1").waits_for_another_key
