"""Whatever breaks while the function works, the next request of the same key repairs it: exactly one certificate.

The function's own code runs here, in this process, so that single calls can be broken; ``test_deployed_faults``
breaks the deployed one.
"""

import itertools
import time

import pytest

from functions.lease import LEASE_SECONDS
from pki.fingerprint import certificate_id
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate, assert_enrolled, csr_body
from tests.support.aws_functions import ENROLL, issued, life_of

READS = {"GetItem", "DescribeCertificate", "DescribeThing"}
# A new device's enrollment as AWS sees it: what changes something. Reads may come and go.
_CLAIM, _RECORD, _DONE = ["UpdateItem", "TransactWriteItems"], ["TransactWriteItems"], ["TransactWriteItems"]
_LEASE = ["UpdateItem", "UpdateItem"]
_PERMIT = ["AttachThingPrincipal", "AttachPolicy"]
STEPS = {
    "kms": [*_CLAIM, "CreateThing", "UpdateItem", "Sign", *_RECORD, "RegisterCertificate", *_PERMIT, *_DONE],
    "aws": [*_CLAIM, "CreateThing", "CreateCertificateFromCsr", *_RECORD, *_PERMIT, *_DONE],
}
# Amazon signs and registers in one call. What breaks between that and the ledger leaves a certificate behind that
# is active, but belongs to no thing and has no policy: `zymkey-fleet audit` removes it.
_LEAVES_AN_ORPHAN = {
    ("aws", "lost", "CreateCertificateFromCsr"),
    ("aws", "killed", "CreateCertificateFromCsr"),
    ("aws", "refused", "TransactWriteItems"),
    ("aws", "throttled", "TransactWriteItems"),
}

pytestmark = pytest.mark.parametrize("issuer", ["aws", "kms"], indirect=True)


def test_an_enrollment_changes_aws_in_this_order_and_in_no_more_steps(fleet):
    faults = Faults()
    candidate = fleet.invite(Candidate())
    certificate = issued(fleet.enroll(candidate, faults))
    assert changing(faults.calls) == STEPS[fleet.issuer]
    assert_enrolled(fleet, candidate, certificate)


def test_asking_again_changes_nothing(fleet):
    candidate = fleet.invite(Candidate())
    first = issued(fleet.enroll(candidate))
    faults = Faults()
    assert issued(fleet.enroll(candidate, faults)) == first
    assert set(faults.calls) == {"GetItem"}


def break_each_call(fleet, kind, *, by="invite"):
    """Enroll a new device for each position, with the call at that position broken. Yields what came of it."""
    before = fleet.everything()
    broken = []
    for position in itertools.count():
        forget_turns(fleet)
        candidate = getattr(fleet, by)(Candidate())
        faults = Faults(position=position, kind=kind)
        try:
            reply = fleet.enroll(candidate, faults)
        except Killed:
            reply = None
        if not faults.fired:
            assert reply.status == 200
            assert_enrolled(fleet, candidate, issued(reply))
            expected_new = {candidate.name, certificate_id(issued(reply))}
            assert fleet.everything() - before == expected_new
            break
        broken.append(faults.calls[position])
        yield candidate, reply, f"{kind} at {broken[-1]} ({position})"
        new = fleet.everything() - before
        left = new - {candidate.name, fleet.ledger.device(candidate.name).certificate_id}
        assert not left or (fleet.issuer, kind, broken[-1]) in _LEAVES_AN_ORPHAN, f"{kind} at {broken[-1]} left {left}"
        assert all(fleet.is_powerless(orphan) for orphan in left)
        before |= new
    claim = _CLAIM if by == "invite" else _LEASE
    assert changing(broken) == [*claim, *STEPS[fleet.issuer][len(_CLAIM) :]]


# Throttling differs from another refusal in its answer alone, which test_http_api holds.
@pytest.mark.parametrize(
    "kind", ["lost", *(pytest.param(each, marks=pytest.mark.slow) for each in ("refused", "throttled"))]
)
def test_a_call_that_fails_is_repaired_by_the_next_request_at_once(fleet, kind):
    for candidate, reply, where in break_each_call(fleet, kind):
        assert reply.status == 503, where
        assert reply.retry_after >= 1
        repaired = fleet.enroll(candidate)
        assert repaired.status == 200, f"{where}: {repaired.text}"
        assert_enrolled(fleet, candidate, issued(repaired))


def test_a_function_that_is_killed_is_repaired_when_its_lease_is_up(fleet):
    for candidate, _, where in break_each_call(fleet, "killed"):
        at_once = fleet.enroll(candidate)
        assert at_once.status in (200, 202), where
        if at_once.status == 202:
            assert 1 <= at_once.retry_after <= LEASE_SECONDS
        repaired = fleet.enroll(candidate, later=LEASE_SECONDS + 1)
        assert repaired.status == 200, f"{where}: {repaired.text}"
        assert_enrolled(fleet, candidate, issued(repaired))


@pytest.mark.parametrize(
    "kind", ["lost", *(pytest.param(each, marks=pytest.mark.slow) for each in ("refused", "killed"))]
)
def test_a_key_that_was_allowed_is_repaired_as_well_whatever_breaks(fleet, kind):
    for candidate, _, where in break_each_call(fleet, kind, by="allow"):
        repaired = fleet.enroll(candidate, later=LEASE_SECONDS + 1 if kind == "killed" else 0)
        assert repaired.status == 200, f"{where}: {repaired.text}"
        assert_enrolled(fleet, candidate, issued(repaired))


@pytest.mark.parametrize(
    "kind", ["killed", *(pytest.param(each, marks=pytest.mark.slow) for each in ("lost", "refused"))]
)
def test_whatever_breaks_in_a_renewal_the_old_certificate_works_on_and_there_is_one_new_one(fleet, kind):
    before, made, broken = fleet.everything(), set(), []
    for position in itertools.count():
        candidate = fleet.allow(Candidate())
        forget_turns(fleet)
        first = issued(fleet.enroll(candidate))
        fleet.ledger.ask_for_renewal(candidate.name, by="test", now=int(time.time()))
        faults = Faults(position=position, kind=kind)
        try:
            reply = fleet.enroll(candidate, faults)
        except Killed:
            reply = None
        made |= {candidate.name, certificate_id(first)}
        if not faults.fired:
            made.add(certificate_id(issued(reply)))
            break
        broken.append(faults.calls[position])
        where = f"{kind} at {broken[-1]} ({position})"
        old, now = certificate_id(first), fleet.ledger.device(candidate.name)
        assert fleet.certificates_of(candidate.name)[old] == "ACTIVE", where
        assert (old in (now.certificate_id, now.superseded), now.state) == (True, "enrolled"), where
        repaired = fleet.enroll(candidate, later=LEASE_SECONDS + 1)
        assert repaired.status == 200, f"{where}: {repaired.text}"
        new = certificate_id(issued(repaired))
        assert fleet.certificates_of(candidate.name) == {old: "ACTIVE", new: "ACTIVE"}, where
        states = {each.certificate_id: each.state for each in fleet.ledger.certificates(candidate.name)}
        assert states == {old: "superseded", new: "active"}, where
        assert fleet.policies_of(new) == [fleet.iot_policy], where
        made.add(new)
    orphans = fleet.everything() - before - made
    assert len(orphans) <= sum((fleet.issuer, kind, each) in _LEAVES_AN_ORPHAN for each in broken)
    assert all(fleet.is_powerless(orphan) for orphan in orphans)
    assert changing(broken) == [
        *_LEASE,
        *(each for each in STEPS[fleet.issuer][len(_CLAIM) :] if each != "CreateThing"),
    ]


def test_a_renewal_comes_at_two_thirds_of_the_life_and_supersedes_the_old_certificate(fleet):
    candidate = fleet.invite(Candidate())
    first = issued(fleet.enroll(candidate))
    life = life_of(first)
    assert issued(fleet.enroll(candidate, later=int(life * 0.6))) == first
    second = issued(fleet.enroll(candidate, later=int(life * 0.7)))
    assert second != first
    device = fleet.ledger.device(candidate.name)
    assert (device.certificate_id, device.superseded) == (certificate_id(second), certificate_id(first))
    states = {each.certificate_id: each.state for each in fleet.ledger.certificates(candidate.name)}
    assert states == {certificate_id(first): "superseded", certificate_id(second): "active"}


def test_amazon_is_handed_no_csr_without_the_devices_name_and_our_ca_puts_it_in(fleet):
    candidate = fleet.invite(Candidate())
    nameless, credentials = csr_body(candidate.key, ""), (candidate.name, candidate.token)
    reply = fleet.post(ENROLL, nameless, credentials=credentials, faults=(faults := Faults()))
    if fleet.issuer == "aws":
        assert (reply.status, "no common name" in reply.text, faults.calls) == (400, True, [])
    else:
        assert issued(reply).subject.rfc4514_string() == f"CN={candidate.name}"


def test_a_key_whose_certificate_was_switched_off_gets_a_new_one_and_not_the_dead_one(fleet):
    candidate = fleet.invite(Candidate())
    first = certificate_id(issued(fleet.enroll(candidate)))
    fleet.iot.update_certificate(certificateId=first, newStatus="INACTIVE")
    fleet.ledger.deactivated(candidate.name, first, by="test", now=int(time.time()))
    second = certificate_id(issued(fleet.enroll(candidate)))
    assert fleet.certificates_of(candidate.name) == {first: "INACTIVE", second: "ACTIVE"}


@pytest.mark.parametrize("moment", ["while it is signed", "before it is permitted"])
def test_a_device_that_is_blocked_while_its_request_runs_gets_nothing_that_works(fleet, moment):
    sign = {"kms": "Sign", "aws": "CreateCertificateFromCsr"}[fleet.issuer]
    operation = sign if moment == "while it is signed" else "AttachPolicy"
    candidate = fleet.invite(Candidate())
    before = fleet.everything()
    faults = Faults(
        operation=operation,
        kind="meanwhile",
        meanwhile=lambda: fleet.ledger.block(candidate.name, by="test", now=int(time.time())),
    )

    reply = fleet.enroll(candidate, faults)

    assert faults.fired
    assert (reply.status, "blocked" in reply.text) == (403, True)
    made = fleet.everything() - before - {candidate.name}
    assert len(made) == (0 if operation == "Sign" else 1)
    statuses = {fleet.iot.describe_certificate(certificateId=each)["certificateDescription"]["status"] for each in made}
    assert statuses <= {"INACTIVE"}


def test_a_request_that_takes_longer_than_its_lease_leaves_the_certificate_to_the_one_that_took_over(fleet):
    candidate = fleet.invite(Candidate())
    faults = Faults(
        operation="AttachPolicy",
        kind="meanwhile",
        meanwhile=lambda: fleet.enroll(candidate, later=LEASE_SECONDS + 1),
    )
    reply = fleet.enroll(candidate, faults)
    assert faults.fired
    assert (reply.status, reply.retry_after) == (202, 1)
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate)))


@pytest.mark.parametrize("position", range(6))
def test_two_requests_of_one_key_make_one_certificate_wherever_the_other_gets_in_between(fleet, position):
    candidate = fleet.invite(Candidate())
    assert fleet.enroll(candidate, Faults(operation="AttachThingPrincipal", kind="refused")).status == 503
    before = fleet.everything()

    other = []
    faults = Faults(position=position, kind="meanwhile", meanwhile=lambda: other.append(fleet.enroll(candidate)))
    reply = fleet.enroll(candidate, faults)
    assert faults.fired
    assert {each.status for each in (reply, *other)} <= {200, 202}
    certificate = issued(fleet.enroll(candidate))
    assert_enrolled(fleet, candidate, certificate)
    assert [issued(each) for each in (reply, *other) if each.status == 200 and issued(each) != certificate] == []
    assert fleet.everything() - before <= {candidate.name, certificate_id(certificate)}
    now = int(time.time())  # neither has left its lease to the next one
    fleet.ledger.acquire_lease(candidate.name, fingerprint=candidate.fingerprint, lease="x", lease_until=now, now=now)


def test_while_aws_is_out_the_lease_cannot_be_given_back_and_runs_out(fleet):
    candidate = fleet.invite(Candidate())
    faults = Faults(operation="AttachThingPrincipal", kind="outage")
    assert fleet.enroll(candidate, faults).status == 503
    assert faults.calls[-1] == "UpdateItem", "it tries to give the lease back"
    at_once = fleet.enroll(candidate)
    assert (at_once.status, 1 <= at_once.retry_after <= LEASE_SECONDS) == (202, True)
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate, later=LEASE_SECONDS + 1)))


def test_an_unfinished_certificate_that_nobody_wants_any_more_is_given_up_for_a_new_one(fleet):
    candidate = fleet.invite(Candidate())
    faults = Faults(operation="AttachThingPrincipal", kind="refused")
    assert fleet.enroll(candidate, faults).status == 503
    unfinished = fleet.ledger.device(candidate.name).unfinished
    assert unfinished
    life = life_of(issued(fleet.enroll(fleet.invite(Candidate()))))
    second = issued(fleet.enroll(candidate, later=int(life * 0.7)))  # it would be due for renewal at once
    assert certificate_id(second) != unfinished
    assert fleet.ledger.certificate(candidate.name, unfinished).state == "abandoned"
    assert fleet.ledger.device(candidate.name).unfinished is None


def forget_turns(fleet):
    """Those that were taken in seconds that have not come yet."""
    fleet.ledger._table.write(fleet.ledger._table.delete("turns", "turns"))


def changing(calls: list[str]) -> list[str]:
    return [call for call in calls if call not in READS]
