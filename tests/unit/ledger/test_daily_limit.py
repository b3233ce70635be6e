"""How many certificates a key gets in a day is counted where it is recorded, and the write itself knows the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import DAY, Busy, DailyLimitReached, Device, LeaseLost, Ledger, State
from tests.support.aws_faults import Faults
from tests.support.ledger import KEY, NOW, begin, certificate

MIDNIGHT = (NOW // DAY + 1) * DAY


@pytest.fixture
def key(ledger):
    """A key that may enroll."""
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)


def issue(ledger, number, *, at_most, now=NOW, known=None):
    device = begin(ledger, now=now)
    issued = certificate(number, not_before=now)
    ledger.record_certificate(issued, lease="mine", now=now, at_most=at_most, known=known or device)
    ledger.make_current(issued, lease="mine", now=now)


def test_a_key_has_its_certificates_of_a_utc_day_and_no_more_until_the_next(ledger, key):
    for number in range(3):
        issue(ledger, number, at_most=3)
    with pytest.raises(
        DailyLimitReached, match=r"^The key of 'pi-1' has had 3 certificates since 00:00 UTC, .*force"
    ) as no:
        issue(ledger, 3, at_most=3, now=MIDNIGHT - 7)
    assert no.value.retry_after == 7
    assert ledger.device("pi-1").unfinished is None
    assert len(ledger.certificates("pi-1")) == 3
    issue(ledger, 4, at_most=3, now=MIDNIGHT)
    assert ledger.device("pi-1").issued_today(MIDNIGHT) == 1


def test_the_write_refuses_what_an_older_look_at_the_device_would_let_through(ledger, key):
    """As of a request that was overtaken: what it read says that there is room."""
    stale = ledger.device("pi-1")
    issue(ledger, 1, at_most=2)
    after_one = ledger.device("pi-1")
    issue(ledger, 2, at_most=2)
    for known in (stale, after_one):
        with pytest.raises(LeaseLost):
            issue(ledger, 3, at_most=2, known=known)
        begin(ledger, now=NOW + 26)
        ledger.release("pi-1", lease="mine")
    assert len(ledger.certificates("pi-1")) == 2
    assert ledger.device("pi-1").issued_count == 2


def test_however_many_ask_at_once_a_key_gets_no_more_than_its_limit(dynamodb, table, ledger, key, at_once):
    """Each thread is a Lambda instance that tries until it is told that the day is over."""

    def ask(ledger, number):
        for attempt in range(40):
            lease, issued = f"{number}-{attempt}", certificate(number * 100 + attempt)
            try:
                device = ledger.acquire_lease("pi-1", fingerprint=KEY, lease=lease, lease_until=NOW + 25, now=NOW)
                ledger.record_certificate(issued, lease=lease, now=NOW, at_most=5, known=device)
                ledger.make_current(issued, lease=lease, now=NOW)
            except Busy:
                continue
            except DailyLimitReached:
                ledger.release("pi-1", lease=lease)
                return "told"
        return "kept out"

    results = at_once(ask, 4)
    assert "told" in results
    assert len(ledger.certificates("pi-1")) == 5
    assert ledger.device("pi-1").issued_count == 5


def test_a_certificate_that_could_not_be_recorded_is_not_counted_and_one_whose_reply_was_lost_once(
    breakable_aws, ledger, table, key
):
    client = breakable_aws("dynamodb")
    broken = Ledger(client=client, table=table)
    device = begin(ledger)
    for kind in ("refused", "lost"):
        faults = Faults(operation="TransactWriteItems", kind=kind)
        faults.watch(client)
        with pytest.raises(Exception, match=r"InternalServerError|Connection was closed"):
            broken.record_certificate(certificate(), lease="mine", now=NOW, at_most=5, known=device)
        assert ledger.device("pi-1").issued_today(NOW) == (1 if kind == "lost" else 0)


def test_without_a_limit_nothing_is_counted_as_by_the_releases_before(ledger, key):
    issue(ledger, 1, at_most=None)
    device = ledger.device("pi-1")
    assert (device.issued_on, device.issued_count) == (None, None)
    issue(ledger, 2, at_most=1)
    with pytest.raises(DailyLimitReached, match="has had one certificate since"):
        issue(ledger, 3, at_most=1)


def test_the_device_is_read_where_the_caller_does_not_know_it(ledger, key):
    begin(ledger)
    ledger.record_certificate(certificate(), lease="mine", now=NOW, at_most=1)
    assert ledger.device("pi-1").issued_count == 1


def test_a_forced_renewal_forgets_the_day_and_a_plain_one_does_not(ledger, key):
    issue(ledger, 1, at_most=1)
    ledger.ask_for_renewal("pi-1", by="alice", now=NOW)
    with pytest.raises(DailyLimitReached):
        issue(ledger, 2, at_most=1)
    device = ledger.ask_for_renewal("pi-1", by="alice", now=NOW + 1, force=True)
    assert (device.renew_asked_at, device.issued_today(NOW)) == (NOW + 1, 0)
    begin(ledger, now=NOW + 26)
    ledger.release("pi-1", lease="mine")
    issue(ledger, 2, at_most=1, now=NOW + 26)
    assert [(each.what, each.detail) for each in ledger.history("pi-1") if each.by == "alice"] == [
        ("allowed", KEY),
        ("renewal asked for", ""),
        ("renewal asked for", "whatever the day's count"),
    ]


def test_a_forced_renewal_while_a_certificate_is_signed_sends_that_request_back_to_begin_again(ledger, key):
    """It counts on what it has read: the lease ends, and the next request finds the day empty."""
    issue(ledger, 1, at_most=5)
    device = begin(ledger)
    ledger.ask_for_renewal("pi-1", by="alice", now=NOW, force=True)
    with pytest.raises(LeaseLost):
        ledger.record_certificate(certificate(2), lease="mine", now=NOW, at_most=5, known=device)


@given(st.integers(0, 4 * DAY), st.integers(0, 4 * DAY), st.integers(1, 9))
def test_a_day_ends_at_midnight_utc_and_a_clock_that_is_behind_begins_none(then, now, count):
    device = Device(name="pi-1", state=State.ENROLLED, updated_at=0, issued_on=then // DAY, issued_count=count)
    assert device.issued_today(now) == (count if then // DAY >= now // DAY else 0)
