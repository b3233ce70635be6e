"""Whatever breaks while the function works, the next request of the same key repairs it: exactly one certificate.

The function's own code runs here, in this process (``function.py``); ``test_deployed_faults`` breaks the deployed one.
"""

import itertools
import time

import pytest

from functions.enroll import LEASE_SECONDS
from pki.fingerprint import certificate_id
from tests.support.cloud.enrollment import Candidate, Cloud, assert_enrolled, csr_body, issued_by_function
from tests.support.cloud.faults import Faults, Killed
from tests.support.cloud.function import choices_of, connect, enroll, post

READS = {"GetItem", "DescribeCertificate"}
# A new device's enrollment as AWS sees it: what changes something. Reads may come and go.
_CLAIM, _RECORD, _DONE = ["TransactWriteItems"], ["TransactWriteItems"], ["TransactWriteItems"]
_PERMIT = ["CreateThing", "AttachThingPrincipal", "AttachPolicy"]
STEPS = {
    "kms": [*_CLAIM, "Sign", *_RECORD, "RegisterCertificate", *_PERMIT, *_DONE],
    "aws": [*_CLAIM, "CreateCertificateFromCsr", *_RECORD, *_PERMIT, *_DONE],
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


@pytest.fixture(scope="module")
def cloud(sandbox):
    return Cloud(sandbox)


@pytest.fixture
def function(sandbox):
    """Answers a candidate's request, with some faults, or some time from now."""
    choices = choices_of(sandbox)

    def call(candidate: Candidate, faults: Faults | None = None, *, later: int = 0) -> dict:
        return enroll(candidate, connect(sandbox, choices, faults), later=later)

    return call


def test_an_enrollment_changes_aws_in_this_order_and_in_no_more_steps(cloud, function):
    faults = Faults()
    candidate = cloud.invite(Candidate())
    certificate = issued_by_function(function(candidate, faults))
    assert changing(faults.calls) == STEPS[cloud.issuer]
    assert_enrolled(cloud, candidate, certificate)


def test_asking_again_changes_nothing(cloud, function):
    candidate = cloud.invite(Candidate())
    first = issued_by_function(function(candidate))
    faults = Faults()
    assert issued_by_function(function(candidate, faults)) == first
    assert set(faults.calls) == {"GetItem"}


def break_each_call(cloud, function, kind):
    """Enroll a new device for each position, with the call at that position broken. Yields what came of it."""
    before = cloud.everything()
    broken = []
    for position in itertools.count():
        candidate = cloud.invite(Candidate())
        faults = Faults(position=position, kind=kind)
        try:
            reply = function(candidate, faults)
        except Killed:
            reply = None
        if not faults.fired:
            assert reply["statusCode"] == 200
            assert_enrolled(cloud, candidate, issued_by_function(reply))
            expected_new = {candidate.name, certificate_id(issued_by_function(reply))}
            assert cloud.everything() - before == expected_new
            break
        broken.append(faults.calls[position])
        yield candidate, reply, f"{kind} at {broken[-1]} ({position})"
        new = cloud.everything() - before
        left = new - {candidate.name, cloud.ledger.device(candidate.name).certificate_id}
        assert not left or (cloud.issuer, kind, broken[-1]) in _LEAVES_AN_ORPHAN, f"{kind} at {broken[-1]} left {left}"
        assert all(cloud.is_powerless(orphan) for orphan in left)
        before |= new
    assert changing(broken) == STEPS[cloud.issuer]


@pytest.mark.parametrize("kind", ["refused", "throttled", "lost"])
def test_a_call_that_fails_is_repaired_by_the_next_request_at_once(cloud, function, kind):
    for candidate, reply, where in break_each_call(cloud, function, kind):
        assert reply["statusCode"] == 503, where
        assert int(reply["headers"]["Retry-After"]) >= 1
        repaired = function(candidate)
        assert repaired["statusCode"] == 200, f"{where}: {repaired['body']}"
        assert_enrolled(cloud, candidate, issued_by_function(repaired))


def test_a_function_that_is_killed_is_repaired_when_its_lease_is_up(cloud, function):
    for candidate, _, where in break_each_call(cloud, function, "killed"):
        at_once = function(candidate)
        assert at_once["statusCode"] in (200, 202), where
        if at_once["statusCode"] == 202:
            assert 1 <= int(at_once["headers"]["Retry-After"]) <= LEASE_SECONDS
        repaired = function(candidate, later=LEASE_SECONDS + 1)
        assert repaired["statusCode"] == 200, f"{where}: {repaired['body']}"
        assert_enrolled(cloud, candidate, issued_by_function(repaired))


def test_a_renewal_comes_at_two_thirds_of_the_life_and_supersedes_the_old_certificate(cloud, function):
    candidate = cloud.invite(Candidate())
    first = issued_by_function(function(candidate))
    life = life_of(first)
    assert issued_by_function(function(candidate, later=int(life * 0.6))) == first
    second = issued_by_function(function(candidate, later=int(life * 0.7)))
    assert second != first
    device = cloud.ledger.device(candidate.name)
    assert (device.certificate_id, device.superseded) == (certificate_id(second), certificate_id(first))
    states = {each.certificate_id: each.state for each in cloud.ledger.certificates(candidate.name)}
    assert states == {certificate_id(first): "superseded", certificate_id(second): "active"}


def test_amazon_is_handed_no_csr_without_the_devices_name_and_our_ca_puts_it_in(cloud, sandbox):
    candidate = cloud.invite(Candidate())
    deployment = connect(sandbox, choices_of(sandbox), faults := Faults())
    nameless = csr_body(candidate.key, "")
    reply = post("/.well-known/est/simpleenroll", nameless, (candidate.name, candidate.token), deployment)
    if cloud.issuer == "aws":
        assert (reply["statusCode"], "no common name" in reply["body"], faults.calls) == (400, True, [])
    else:
        assert issued_by_function(reply).subject.rfc4514_string() == f"CN={candidate.name}"


def test_a_key_whose_certificate_was_switched_off_gets_a_new_one_and_not_the_dead_one(cloud, function):
    candidate = cloud.invite(Candidate())
    first = certificate_id(issued_by_function(function(candidate)))
    cloud.iot.update_certificate(certificateId=first, newStatus="INACTIVE")
    cloud.ledger.deactivated(candidate.name, first, by="test", now=int(time.time()))
    second = certificate_id(issued_by_function(function(candidate)))
    assert cloud.certificates_of(candidate.name) == {first: "INACTIVE", second: "ACTIVE"}


def test_a_device_that_is_blocked_while_its_request_runs_gets_nothing_that_works(cloud, function, sandbox):
    candidate = cloud.invite(Candidate())
    iot = sandbox.boto("iot")

    class BlockInTheMiddle(Faults):
        def _call(self, request, event_name, send):
            if event_name.endswith("AttachPolicy"):
                cloud.ledger.block(candidate.name, by="test", now=int(time.time()))
            return super()._call(request, event_name, send)

    reply = function(candidate, BlockInTheMiddle())
    assert (reply["statusCode"], "blocked" in reply["body"]) == (403, True)
    assert set(cloud.certificates_of(candidate.name).values()) == {"INACTIVE"}
    assert iot.describe_thing(thingName=candidate.name)


def test_an_unfinished_certificate_that_nobody_wants_any_more_is_given_up_for_a_new_one(cloud, function):
    candidate = cloud.invite(Candidate())
    faults = Faults(operation="CreateThing", kind="refused")
    assert function(candidate, faults)["statusCode"] == 503
    unfinished = cloud.ledger.device(candidate.name).unfinished
    assert unfinished
    life = life_of(issued_by_function(function(cloud.invite(Candidate()))))
    second = issued_by_function(function(candidate, later=int(life * 0.7)))  # it would be due for renewal at once
    assert certificate_id(second) != unfinished
    assert cloud.ledger.certificate(candidate.name, unfinished).state == "abandoned"
    assert cloud.ledger.device(candidate.name).unfinished is None


def life_of(certificate) -> float:
    """Seconds."""
    return (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds()


def changing(calls: list[str]) -> list[str]:
    return [call for call in calls if call not in READS]
