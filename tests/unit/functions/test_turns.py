"""Turns: of many devices at once each is told its moment, comes back then, and nothing is lost on the way."""

import contextlib
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.lease import LEASE_SECONDS
from ledger import Turns
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate, assert_enrolled, csr_body
from tests.support.aws_functions import ENROLL, UPLOAD, each_issuer_that_signs, issued, life_of, pem

TEN = Turns(per_second=10)
WAIT = 600


@pytest.fixture
def fleet(deploy, issuer):
    return deploy(issuer, registrations_per_second=None)


def fill(fleet, *, later=0, wait=WAIT):
    """Let the queue be so long, in seconds, ``later`` seconds from now."""
    fleet.ledger.take_turn(TEN, now=int((time.time() + later + wait) * 1_000))


def counter(fleet):
    return fleet.ledger._table.get("turns", "turns")


def queued(reply, wait=WAIT):
    assert (reply.status, "Zymkey-Place" in reply.headers) == (202, True), reply.text
    assert wait - 60 <= reply.retry_after <= wait + 3, reply.retry_after  # less on a busy machine
    return int(reply.headers["Zymkey-Place"])


def test_in_calm_time_a_second_s_turns_come_at_once_and_the_next_is_told_its_moment(fleet, monkeypatch):
    moment = time.time()
    monkeypatch.setattr("tests.support.aws_functions.time.time", lambda: moment)
    candidates = [fleet.invite(Candidate()) for _ in range(13)]
    replies = [fleet.enroll(each) for each in candidates]
    assert [each.status for each in replies] == [200] * 10 + [202] * 3
    told = [(each.retry_after, each.headers["Zymkey-Place"]) for each in replies[10:]]
    assert told == [(2, "10"), (2, "11"), (2, "12")]
    for each in candidates[10:]:
        issued(fleet.enroll(each, later=2))


@each_issuer_that_signs
@pytest.mark.parametrize("by", ["invite", "allow"])
def test_a_device_is_told_its_place_and_moment_and_let_in_then(fleet, by):
    fill(fleet)
    before = fleet.everything()
    candidate = getattr(fleet, by)(Candidate())
    first = fleet.enroll(candidate, with_token=by == "invite")
    per_second = {"kms": 10, "aws": 15}[fleet.issuer]  # AWS's quotas
    assert abs(queued(first) - WAIT * per_second) <= 60 * per_second
    assert f"{queued(first):,} devices are to be registered before this one" in first.text
    at = time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + first.retry_after))[:-1]
    assert f"at about {at}" in first.text
    place = counter(fleet)

    faults = Faults()
    again = fleet.enroll(candidate, faults, later=WAIT // 2, with_token=by == "invite")
    assert queued(again, WAIT // 2) < queued(first)
    assert faults.calls == ["GetItem", "GetItem"]
    assert fleet.everything() == before
    assert counter(fleet) == place

    # The invitation has expired by now, and was the key's own all the same.
    certificate = issued(fleet.enroll(candidate, later=first.retry_after, with_token=by == "invite"))
    assert_enrolled(fleet, candidate, certificate)
    assert counter(fleet) == place
    assert fleet.ledger.device(candidate.name).turn is None


def test_a_token_that_expires_while_its_device_waits_was_claimed_in_time_and_by_its_first_key(fleet):
    fill(fleet)
    candidate = fleet.invite(Candidate(), lasts=WAIT // 2)
    queued(fleet.enroll(candidate))
    assert fleet.enroll(Candidate(name=candidate.name, token=candidate.token)).status == 401
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate, later=WAIT + 1)))


def test_a_renewal_takes_a_turn_and_the_old_certificate_stays(fleet):
    candidate = fleet.invite(Candidate())
    first = issued(fleet.enroll(candidate))
    due = int(life_of(first) * 0.7)
    fill(fleet, later=due)
    reply = fleet.enroll(candidate, later=due)
    queued(reply)
    assert_enrolled(fleet, candidate, first)
    faults = Faults()
    queued(fleet.enroll(candidate, faults, later=due + WAIT // 2), WAIT // 2)
    assert set(faults.calls) == {"GetItem"}
    second = issued(fleet.enroll(candidate, later=due + reply.retry_after))
    assert second != first
    assert fleet.ledger.device(candidate.name).turn is None


def test_whoever_has_a_fresh_certificate_or_an_unfinished_one_does_not_queue(fleet):
    fresh, unfinished = fleet.invite(Candidate()), fleet.invite(Candidate())
    first = issued(fleet.enroll(fresh))
    assert fleet.enroll(unfinished, Faults(operation="RegisterCertificate", kind="throttled")).status == 503
    fill(fleet)
    place = counter(fleet)
    assert issued(fleet.enroll(fresh)) == first
    assert_enrolled(fleet, unfinished, issued(fleet.enroll(unfinished)))
    assert counter(fleet) == place


def test_who_comes_late_is_let_in_for_an_hour_and_queues_again_after_that(fleet):
    fill(fleet)
    punctual, late = (fleet.invite(Candidate()) for _ in range(2))
    for each in (punctual, late):
        queued(fleet.enroll(each))
    issued(fleet.enroll(punctual, later=WAIT + 3_500))
    fill(fleet, later=WAIT + 3_700)
    again = fleet.enroll(late, later=WAIT + 3_700)
    queued(again)
    assert_enrolled(fleet, late, issued(fleet.enroll(late, later=WAIT + 3_700 + again.retry_after)))


def test_nobody_who_is_refused_takes_a_turn(fleet):
    invited, blocked = fleet.invite(Candidate()), fleet.invite(Candidate())
    issued(fleet.enroll(blocked))
    fleet.ledger.block(blocked.name, by="test", now=int(time.time()))
    place = counter(fleet)
    stranger = Candidate()
    replies = [
        fleet.post(ENROLL, stranger.csr),
        fleet.enroll(stranger),
        fleet.post(ENROLL, csr_body(stranger.key, invited.name), credentials=(invited.name, "wrong")),
        fleet.post(ENROLL, csr_body(invited.key, "other"), credentials=(invited.name, invited.token)),
        fleet.enroll(blocked),
        fleet.enroll(fleet.invite(Candidate(), lasts=-1)),
    ]
    assert [each.status for each in replies] == [401, 401, 401, 400, 403, 401]
    assert counter(fleet) == place


def test_a_ca_elsewhere_registers_nothing_before_a_person_has_signed(deploy, authority):
    fleet = deploy("external", registrations_per_second=None)
    candidate = fleet.invite(Candidate())
    assert "Zymkey-Place" not in fleet.enroll(candidate).headers
    assert fleet.post(UPLOAD, pem(authority.sign(candidate))).status == 200
    assert counter(fleet) is None


def test_the_settings_say_how_many_are_registered_in_a_second(deploy):
    fleet = deploy("kms", registrations_per_second=50)
    fill(fleet)
    assert abs(queued(fleet.enroll(fleet.invite(Candidate()))) - WAIT * 50) <= 60 * 50


# What can go wrong


@pytest.mark.parametrize("kind", ["refused", "throttled", "lost", "killed"])
@pytest.mark.parametrize("by", ["invite", "allow"])
def test_whatever_breaks_while_a_device_queues_its_next_request_repairs_it_and_a_turn_is_wasted_at_most(
    fleet, kind, by
):
    fill(fleet)
    before = fleet.everything()
    for position in itertools.count():
        candidate = getattr(fleet, by)(Candidate())
        faults = Faults(position=position, kind=kind)
        try:
            reply = fleet.enroll(candidate, faults)
        except Killed:
            reply = None
        if not faults.fired:
            queued(reply)
            break
        assert reply is None or reply.status == 503
        assert faults.calls[position] in ("GetItem", "UpdateItem", "TransactWriteItems")
        assert fleet.everything() == before
        second = fleet.enroll(candidate)
        queued(second)
        assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate, later=second.retry_after)))
        before = fleet.everything()
    assert position >= 4


@pytest.mark.parametrize("kind", ["refused", "killed"])
def test_whatever_breaks_when_its_turn_has_come_the_device_keeps_it(fleet, kind):
    for position in itertools.count():
        fill(fleet)
        candidate = fleet.invite(Candidate())
        wait = fleet.enroll(candidate).retry_after
        faults = Faults(position=position, kind=kind)
        with contextlib.suppress(Killed):
            fleet.enroll(candidate, faults, later=wait)
        if not faults.fired:
            break
        fill(fleet, later=wait)
        place = counter(fleet)
        repaired = fleet.enroll(candidate, later=wait + LEASE_SECONDS + 1)
        assert_enrolled(fleet, candidate, issued(repaired))
        assert counter(fleet) == place, "it has not queued again"
    assert position >= 8


@pytest.mark.parametrize("by", ["invite", "allow"])
@pytest.mark.parametrize("position", range(4))
def test_two_requests_of_one_key_keep_one_turn(fleet, by, position):
    fill(fleet)
    candidate = getattr(fleet, by)(Candidate())
    other = []
    faults = Faults(position=position, kind="meanwhile", meanwhile=lambda: other.append(fleet.enroll(candidate)))
    reply = fleet.enroll(candidate, faults)
    assert faults.fired
    queued(other[0])
    assert reply.status == 202
    turn = fleet.ledger.device(candidate.name).turn
    third = fleet.enroll(candidate)
    queued(third)
    assert fleet.ledger.device(candidate.name).turn == turn
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate, later=third.retry_after)))


def test_a_device_that_is_blocked_while_it_queues_stays_out_and_keeps_its_turn_for_later(fleet):
    fill(fleet)
    candidate = fleet.invite(Candidate())
    wait = fleet.enroll(candidate).retry_after
    fleet.ledger.block(candidate.name, by="test", now=int(time.time()))
    assert fleet.enroll(candidate, later=wait).status == 403
    fleet.ledger.unblock(candidate.name, by="test", now=int(time.time()))
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate, later=wait)))


def test_many_at_once_get_each_a_place_of_their_own(fleet):
    fill(fleet)
    candidates = [fleet.allow(Candidate()) for _ in range(24)]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda each: fleet.enroll(each, with_token=False), candidates))
    assert {each.status for each in replies} == {202}
    turns = sorted(fleet.ledger.device(each.name).turn for each in candidates)
    assert {after - before for before, after in itertools.pairwise(turns)} <= {101, 102}
