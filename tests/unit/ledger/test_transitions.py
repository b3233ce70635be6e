"""Every state of a device, and everything that can be done to it: what follows, or why it is refused."""

import pytest

import ledger as ledger_package
from ledger import LedgerError, State
from tests.support.ledger import KEY, NOW, OTHER_KEY, TOKEN_HASH, begin, certificate, claim, enroll, invite

# What a device can be like before. Columns of the table below.


def nobody(ledger):
    pass


def invited(ledger):
    invite(ledger)


def expired(ledger):
    invite(ledger, expires=NOW)


def allowed(ledger):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)


def working(ledger):
    invite(ledger)
    claim(ledger)


def waiting(ledger):
    working(ledger)
    ledger.queue_csr("pi-1", csr="CSR", lease="mine", now=NOW)


def recorded(ledger):
    working(ledger)
    ledger.record_certificate(certificate(), lease="mine", now=NOW)


def enrolled(ledger):
    allowed(ledger)
    enroll(ledger, 9)


def renewing(ledger):
    enrolled(ledger)
    begin(ledger)
    ledger.record_certificate(certificate(), lease="mine", now=NOW)


def cancelled(ledger):
    invited(ledger)
    ledger.block("pi-1", by="alice", now=NOW)


def blocked(ledger):
    renewing(ledger)
    ledger.block("pi-1", by="alice", now=NOW)


def locked_out(ledger):
    enrolled(ledger)
    ledger.block("pi-1", by="alice", now=NOW)
    ledger.deactivated("pi-1", certificate(9).certificate_id, by="alice", now=NOW)


def replaced(ledger):
    renewing(ledger)
    ledger.replace_by_token("pi-1", token_hash=TOKEN_HASH, token_expires=NOW + 60, by="alice", now=NOW)


def handed_over(ledger):
    renewing(ledger)
    ledger.replace_by_key("pi-1", fingerprint=OTHER_KEY, by="alice", now=NOW)


def taken_over(ledger):
    handed_over(ledger)
    enroll(ledger, 5, fingerprint=OTHER_KEY)


# What can be done. Rows of the table below.


def do_invite(ledger):
    invite(ledger, token_hash="second token")


def do_allow(ledger):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)


def do_allow_other_key(ledger):
    ledger.allow("pi-1", fingerprint=OTHER_KEY, by="alice", now=NOW)


def do_approve(ledger):
    if ledger.device_of_key(KEY) is None:
        ledger.hold_for_approval(fingerprint=KEY, suggested_name="pi-1", now=NOW)
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW, approved=True)


def do_claim(ledger):
    claim(ledger, lease="second")


def do_claim_other_key(ledger):
    claim(ledger, fingerprint=OTHER_KEY, lease="second")


def do_claim_wrong_token(ledger):
    claim(ledger, fingerprint=OTHER_KEY, token_hash="no token of ours", lease="second")


def do_begin(ledger):
    begin(ledger, lease="second")


def do_begin_other_key(ledger):
    begin(ledger, fingerprint=OTHER_KEY, lease="second")


def do_record(ledger):
    ledger.record_certificate(certificate(2), lease="mine", now=NOW)


def do_queue(ledger):
    ledger.queue_csr("pi-1", csr="second CSR", lease="mine", now=NOW)


def do_finish(ledger):
    ledger.make_current(certificate(), lease="mine", now=NOW)


def do_finish_without_lease(ledger):
    ledger.make_current(certificate(), lease="second", now=NOW)


def do_abandon(ledger):
    ledger.abandon(certificate(), lease="mine", now=NOW)


def do_block(ledger):
    ledger.block("pi-1", by="alice", now=NOW)


def do_unblock(ledger):
    ledger.unblock("pi-1", by="alice", now=NOW)


def do_remove(ledger):
    ledger.remove("pi-1", by="alice", now=NOW)


def do_replace(ledger):
    ledger.replace_by_token("pi-1", token_hash="third token", token_expires=NOW + 60, by="alice", now=NOW)


def do_replace_by_key(ledger):
    ledger.replace_by_key("pi-1", fingerprint=OTHER_KEY, by="alice", now=NOW)


def do_replace_by_first(ledger):
    ledger.replace_by_key("pi-1", fingerprint=KEY, by="alice", now=NOW)


# A word in small letters is the state after. "same" is: done, and nothing has changed. A word with capitals is the
# error, and then nothing may have changed either.
TABLE = """
                      nobody      invited     expired       allowed     working     waiting
invite                invited     invited     invited       WrongState  WrongState  WrongState
allow                 invited     invited     invited       same        same        same
allow_other_key       invited     invited     invited       WrongState  WrongState  WrongState
approve               invited     invited     invited       same        same        same
claim                 NotInvited  pending     TokenExpired  Busy        Busy        Busy
claim_other_key       NotInvited  pending     TokenExpired  NotInvited  TokenSpent  TokenSpent
claim_wrong_token     NotInvited  NotInvited  NotInvited    NotInvited  NotInvited  NotInvited
begin                 NotInvited  NotInvited  NotInvited    pending     Busy        pending
begin_other_key       NotInvited  NotInvited  NotInvited    NotInvited  NotInvited  NotInvited
record                LeaseLost   LeaseLost   LeaseLost     LeaseLost   pending     LeaseLost
queue                 LeaseLost   LeaseLost   LeaseLost     LeaseLost   pending     LeaseLost
finish                LeaseLost   LeaseLost   LeaseLost     LeaseLost   LeaseLost   LeaseLost
finish_without_lease  LeaseLost   LeaseLost   LeaseLost     LeaseLost   LeaseLost   LeaseLost
abandon               LeaseLost   LeaseLost   LeaseLost     LeaseLost   LeaseLost   LeaseLost
block                 WrongState  blocked     blocked       blocked     blocked     blocked
unblock               WrongState  same        same          same        same        same
remove                WrongState  nobody      nobody        nobody      WrongState  WrongState
replace               WrongState  WrongState  WrongState    invited     invited     invited
replace_by_key        WrongState  WrongState  WrongState    invited     invited     invited
replace_by_first      WrongState  WrongState  WrongState    WrongState  WrongState  WrongState

                      recorded    enrolled    renewing    cancelled   blocked     locked_out
invite                WrongState  WrongState  WrongState  WrongState  WrongState  WrongState
allow                 same        same        same        WrongState  WrongState  WrongState
allow_other_key       WrongState  WrongState  WrongState  WrongState  WrongState  WrongState
approve               same        same        same        WrongState  WrongState  WrongState
claim                 Busy        Busy        Busy        Blocked     Blocked     Blocked
claim_other_key       TokenSpent  NotInvited  NotInvited  Blocked     NotInvited  NotInvited
claim_wrong_token     NotInvited  NotInvited  NotInvited  NotInvited  NotInvited  NotInvited
begin                 Busy        enrolled    Busy        Blocked     Blocked     Blocked
begin_other_key       NotInvited  NotInvited  NotInvited  Blocked     Blocked     Blocked
record                LeaseLost   LeaseLost   LeaseLost   Blocked     Blocked     Blocked
queue                 pending     LeaseLost   enrolled    Blocked     Blocked     Blocked
finish                enrolled    LeaseLost   enrolled    Blocked     Blocked     Blocked
finish_without_lease  LeaseLost   LeaseLost   LeaseLost   Blocked     Blocked     Blocked
abandon               pending     LeaseLost   enrolled    Blocked     Blocked     Blocked
block                 blocked     blocked     blocked     same        same        same
unblock               same        same        same        invited     enrolled    enrolled
remove                WrongState  WrongState  WrongState  nobody      WrongState  nobody
replace               invited     invited     invited     WrongState  invited     invited
replace_by_key        invited     invited     invited     WrongState  invited     invited
replace_by_first      WrongState  WrongState  WrongState  WrongState  WrongState  WrongState

                      replaced    handed_over  taken_over
invite                WrongState  WrongState   WrongState
allow                 Blocked     Blocked      Blocked
allow_other_key       WrongState  same         same
approve               Blocked     Blocked      Blocked
claim                 Blocked     NotInvited   NotInvited
claim_other_key       pending     Busy         Busy
claim_wrong_token     NotInvited  Busy         Busy
begin                 Blocked     Blocked      Blocked
begin_other_key       NotInvited  pending      enrolled
record                LeaseLost   LeaseLost    LeaseLost
queue                 LeaseLost   LeaseLost    LeaseLost
finish                Blocked     Blocked      Blocked
finish_without_lease  Blocked     Blocked      Blocked
abandon               LeaseLost   LeaseLost    LeaseLost
block                 blocked     blocked      blocked
unblock               same        same         same
remove                nobody      nobody       WrongState
replace               invited     invited      invited
replace_by_key        invited     same         same
replace_by_first      invited     invited      invited
"""


def cells():
    for block in TABLE.strip("\n").split("\n\n"):
        heads, *rows = (line.split() for line in block.splitlines())
        for action, *outcomes in rows:
            yield from ((before, action, outcome) for before, outcome in zip(heads, outcomes, strict=True))


def state(ledger):
    device = ledger.device("pi-1")
    return device.state if device else "nobody"


MADE = {}
"""What a table holds in each state: made once, by the steps above."""


@pytest.fixture
def content_before(before, ledger, items, dynamodb, table):
    """Brings the ledger into the state ``before``, and returns what the table then holds."""
    if before not in MADE:
        globals()[before](ledger)
        MADE[before] = items()
    elif MADE[before]:
        puts = [{"PutRequest": {"Item": item}} for item in MADE[before]]
        assert dynamodb.batch_write_item(RequestItems={table: puts})["UnprocessedItems"] == {}
    return MADE[before]


@pytest.mark.parametrize(("before", "action", "outcome"), list(cells()))
def test_from_each_state_each_action_leads_where_the_table_says(ledger, items, content_before, action, outcome):
    act = globals()[f"do_{action}"]
    if outcome[0].isupper():
        with pytest.raises(getattr(ledger_package, outcome)) as refusal:
            act(ledger)
        assert str(refusal.value).endswith(".")
        if action != "approve":  # asking for approval is a change of its own
            assert items() == content_before
    else:
        act(ledger)
        if outcome == "same":
            assert items() == content_before
        else:
            assert state(ledger) == outcome
            assert items() != content_before


def test_the_table_has_every_state_of_a_device():
    reached = {outcome for _, _, outcome in cells() if outcome[0].islower()} - {"same", "nobody"}
    assert reached == set(State)


def test_the_table_has_every_refusal_but_those_of_keys_lists_and_days():
    named = {outcome for _, _, outcome in cells() if outcome[0].isupper()}
    assert {each.__name__ for each in LedgerError.__subclasses__()} - named == {
        "DailyLimitReached",
        "KeyTaken",
        "RequestsFull",
    }
