"""The AWS calls of one enrollment, in order: what it costs, and how long it takes (``docs/scale.md``)."""

import time

import pytest

from ledger import Turns
from tests.support.aws_faults import Faults
from tests.support.aws_fleet import Candidate
from tests.support.aws_functions import ENROLL, each_issuer_that_signs, issued, life_of

# The ledger: who has the key, and what is known of the device; a turn; the lease; the certificate; the end.
_WHO = ["GetItem", "GetItem"]
_TURN, _LEASE = ["UpdateItem"], ["UpdateItem"]
_CLAIM = _RECORD = _DONE = ["TransactWriteItems"]
_PERMIT = ["AttachThingPrincipal", "AttachPolicy"]
_CERTIFICATE = {
    # Counted, and then made.
    "kms": ["UpdateItem", "Sign", *_RECORD, "RegisterCertificate"],
    # And no DescribeCertificate, of which AWS IoT answers fewer in a second than it makes certificates.
    "aws": ["CreateCertificateFromCsr", *_RECORD],
}


@pytest.fixture
def calls(fleet):
    """A function that enrolls a candidate and returns the calls of it."""

    def calls(candidate, **options):
        faults = Faults()
        reply = fleet.enroll(candidate, faults, **options)
        return reply, faults.calls

    return calls


@each_issuer_that_signs
def test_a_new_device_by_token(fleet, calls):
    reply, made = calls(fleet.invite(Candidate()))
    issued(reply)
    assert made == [*_WHO, *_TURN, *_CLAIM, "CreateThing", *_CERTIFICATE[fleet.issuer], *_PERMIT, *_DONE]


@each_issuer_that_signs
def test_a_new_device_by_its_key(fleet, calls):
    reply, made = calls(fleet.allow(Candidate()), with_token=False)
    issued(reply)
    assert made == [*_WHO, *_TURN, *_LEASE, "CreateThing", *_CERTIFICATE[fleet.issuer], *_PERMIT, *_DONE]


@each_issuer_that_signs
def test_the_same_certificate_again(fleet, calls):
    candidate = fleet.allow(Candidate())
    first = issued(calls(candidate)[0])
    reply, made = calls(candidate)
    assert issued(reply) == first
    assert made == [*_WHO, "GetItem"]


@each_issuer_that_signs
def test_a_renewal(fleet, calls):
    candidate = fleet.allow(Candidate())
    first = issued(calls(candidate)[0])
    reply, made = calls(candidate, later=int(life_of(first) * 0.7))
    assert issued(reply) != first
    assert made == [
        *(*_WHO, "GetItem", *_TURN, *_LEASE, "DescribeThing"),
        *(*_CERTIFICATE[fleet.issuer], *_PERMIT, *_DONE),
    ]


@pytest.mark.parametrize(("by", "keep"), [("invite", _CLAIM), ("allow", _LEASE)])
@each_issuer_that_signs
def test_a_device_that_is_told_its_turn_and_one_that_comes_before_it(fleet, calls, by, keep):
    fleet.ledger.take_turn(Turns(per_second=10), now=int(time.time() + 600) * 1_000)
    candidate = getattr(fleet, by)(Candidate())
    reply, made = calls(candidate)
    assert reply.status == 202
    # This process has not seen the queue before: it is one write more, once.
    assert made == [*_WHO, *_TURN, *_TURN, *keep]
    reply, made = calls(candidate)
    assert reply.status == 202
    assert made == _WHO
    reply, made = calls(candidate, later=601)
    issued(reply)
    assert made == [*_WHO, *_LEASE, "CreateThing", *_CERTIFICATE[fleet.issuer], *_PERMIT, *_DONE]


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_a_device_whose_csr_waits_for_a_ca_elsewhere_asks_every_minute_for_two_reads(fleet, calls):
    candidate = fleet.invite(Candidate())
    csr = candidate.csr
    reply, made = post_csr(fleet, candidate, csr)
    assert reply.status == 202
    assert made == [*_WHO, *_CLAIM, "DescribeThing", "GetItem", *_RECORD, "UpdateItem"]
    for _ in range(2):
        again, made = post_csr(fleet, candidate, csr)
        assert (again.status, again.text, made) == (202, reply.text, _WHO)
    _, made = post_csr(fleet, candidate, candidate.csr)
    assert made == [*_WHO, *_LEASE, "GetItem", *_RECORD, "UpdateItem"], "another CSR takes its place"


def post_csr(fleet, candidate, csr):
    faults = Faults()
    return fleet.post(ENROLL, csr, credentials=(candidate.name, candidate.token), faults=faults), faults.calls
