"""A key gets so many certificates a day; and an expired one is renewed for so long; beyond it the operator decides."""

import time
from datetime import UTC, datetime

import pytest

from ledger import DAY
from pki.fingerprint import certificate_id
from tests.support.aws_faults import Faults
from tests.support.aws_fleet import Candidate, assert_enrolled
from tests.support.aws_functions import UPLOAD, each_issuer_that_signs, issued, life_of, pem

SIGNS = {"kms": "Sign", "aws": "CreateCertificateFromCsr"}


def ask(fleet, candidate, **options):
    fleet.ledger.ask_for_renewal(candidate.name, by="alice", now=int(time.time()), **options)


@pytest.fixture
def at_most_two(deploy, issuer):
    return deploy(issuer, certificates_per_key_and_day=2)


@each_issuer_that_signs
def test_the_certificate_after_the_days_last_is_refused_before_anything_is_signed_until_tomorrow(at_most_two, issuer):
    fleet = at_most_two
    candidate = fleet.invite(Candidate())
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate)))
    ask(fleet, candidate)
    second = issued(fleet.enroll(candidate))
    ask(fleet, candidate)
    faults = Faults()
    before = time.time()
    refused = fleet.enroll(candidate, faults)
    assert refused.status == 429
    left = DAY - before % DAY
    assert left - 60 < refused.retry_after <= left + 1
    assert "2 certificates since 00:00 UTC" in refused.text
    assert "`zymkey-fleet renew NAME --force`" in refused.text
    assert set(faults.calls) == {"GetItem"}, "it costs reads alone, and nobody's turn"
    assert fleet.certificates_of(candidate.name)[certificate_id(second)] == "ACTIVE", "what it has goes on working"
    third = issued(fleet.enroll(candidate, later=refused.retry_after))
    assert third != second


@each_issuer_that_signs
def test_after_a_forced_renewal_the_next_request_gets_a_certificate(at_most_two):
    fleet = at_most_two
    candidate = fleet.invite(Candidate())
    first = issued(fleet.enroll(candidate))
    ask(fleet, candidate)
    second = issued(fleet.enroll(candidate))
    ask(fleet, candidate)
    assert fleet.enroll(candidate).status == 429
    ask(fleet, candidate, force=True)
    assert issued(fleet.enroll(candidate)) not in (first, second)


@each_issuer_that_signs
def test_a_certificate_that_is_signed_is_completed_whatever_the_count(deploy, issuer):
    """And nothing is signed for the key after it, wherever the first request broke."""
    fleet = deploy(issuer, certificates_per_key_and_day=1)
    candidate = fleet.invite(Candidate())
    assert fleet.enroll(candidate, Faults(operation="AttachPolicy")).status == 503
    faults = Faults()
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate, faults)))
    assert SIGNS[issuer] not in faults.calls
    ask(fleet, candidate)
    assert fleet.enroll(candidate).status == 429


@each_issuer_that_signs
def test_who_is_overtaken_while_it_takes_its_turn_is_refused_before_anything_is_signed(deploy, issuer):
    """The key's other request was faster, and has had the day's last certificate."""
    fleet = deploy(issuer, certificates_per_key_and_day=1)
    candidate = fleet.allow(Candidate())

    def be_faster():
        issued(fleet.enroll(candidate, with_token=False))
        ask(fleet, candidate)

    faults = Faults(operation="UpdateItem", kind="meanwhile", meanwhile=be_faster)
    refused = fleet.enroll(candidate, faults, with_token=False)
    assert refused.status in (202, 429), "202 when the device is another than it has read"
    assert SIGNS[issuer] not in faults.calls
    assert fleet.enroll(candidate, with_token=False).status == 429
    assert len(fleet.certificates_of(candidate.name)) == 1


# After it has expired


@pytest.fixture
def thirty_days(deploy, issuer):
    return deploy(issuer, expired_grace_days=30)


def expired_for(fleet, candidate, days):
    """How many seconds later the candidate's certificate will have expired for so many days."""
    device = fleet.ledger.device(candidate.name)
    return device.not_after + int(days * DAY) - int(time.time())


@each_issuer_that_signs
def test_an_expired_certificate_is_renewed_within_its_grace_and_refused_beyond_it(thirty_days):
    fleet = thirty_days
    within, beyond = fleet.invite(Candidate()), fleet.invite(Candidate())
    old = [issued(fleet.enroll(each)) for each in (within, beyond)]
    assert issued(fleet.enroll(within, later=expired_for(fleet, within, 29.9))) != old[0]
    faults = Faults()
    refused = fleet.enroll(beyond, faults, later=expired_for(fleet, beyond, 30.1))
    assert refused.status == 403
    date = datetime.fromtimestamp(fleet.ledger.device(beyond.name).not_after, UTC).date()
    assert refused.text == (
        f"The certificate of '{beyond.name}' expired on {date}, and this fleet renews an expired one for 30 days: the "
        "operator lets the device renew once more with `zymkey-fleet renew NAME`.\n"
    )
    assert set(faults.calls) == {"GetItem"}


@each_issuer_that_signs
def test_the_operator_lets_it_renew_once(thirty_days):
    fleet = thirty_days
    candidate = fleet.invite(Candidate())
    old = issued(fleet.enroll(candidate))
    years = expired_for(fleet, candidate, 700)
    assert fleet.enroll(candidate, later=years).status == 403
    ask(fleet, candidate)
    new = issued(fleet.enroll(candidate, later=years))
    assert new != old
    if fleet.issuer == "kms":  # Amazon's certificates end in 2049, all of them
        assert issued(fleet.enroll(candidate, later=years + DAY)) == new
        assert fleet.enroll(candidate, later=years + int(life_of(new)) + 31 * DAY).status == 403


@pytest.mark.parametrize(
    ("days", "said"), [(0, "renews none that has expired"), (1, "renews an expired one for a day")]
)
def test_the_sentence_says_the_grace_as_a_person_would(deploy, days, said):
    fleet = deploy("kms", expired_grace_days=days)
    candidate = fleet.invite(Candidate())
    issued(fleet.enroll(candidate))
    refused = fleet.enroll(candidate, later=expired_for(fleet, candidate, days) + 60)
    assert refused.status == 403
    assert said in refused.text


def test_without_the_setting_an_expired_certificate_is_renewed_for_ever_as_by_the_releases_before(fleet):
    candidate = fleet.invite(Candidate())
    old = issued(fleet.enroll(candidate))
    assert issued(fleet.enroll(candidate, later=expired_for(fleet, candidate, 3650))) != old


def test_a_renewal_that_had_begun_is_completed_after_the_grace(thirty_days):
    fleet = thirty_days
    candidate = fleet.invite(Candidate())
    issued(fleet.enroll(candidate))
    last_moment = expired_for(fleet, candidate, 29.99)
    assert fleet.enroll(candidate, Faults(operation="AttachPolicy"), later=last_moment).status == 503
    issued(fleet.enroll(candidate, later=last_moment + DAY))


def test_a_first_enrollment_and_a_blocked_device_are_what_they_were(thirty_days):
    fleet = thirty_days
    first = fleet.allow(Candidate())
    assert fleet.enroll(first, Faults(operation="AttachPolicy"), with_token=False).status == 503
    issued(fleet.enroll(first, with_token=False, later=200 * DAY))
    late = expired_for(fleet, first, 100)
    fleet.ledger.block(first.name, by="alice", now=int(time.time()))
    refused = fleet.enroll(first, with_token=False, later=late)
    assert (refused.status, refused.text) == (403, f"Device '{first.name}' is blocked.\n")


def test_with_a_ca_outside_aws_who_asked_in_time_waits_for_the_signature_and_nobody_is_counted(deploy, authority):
    fleet = deploy("external", expired_grace_days=30, certificates_per_key_and_day=1)
    in_time, late = fleet.allow(Candidate()), fleet.allow(Candidate())
    for candidate in (in_time, late, in_time, late):
        assert fleet.post(UPLOAD, pem(authority.sign(candidate))).status == 200
    assert fleet.enroll(in_time, with_token=False, later=expired_for(fleet, in_time, 29)).status == 202
    for candidate, status in ((in_time, 202), (late, 403)):
        reply = fleet.enroll(candidate, with_token=False, later=expired_for(fleet, candidate, 31))
        assert reply.status == status
