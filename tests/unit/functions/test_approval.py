"""Keys that nobody has invited wait for their approval, are rejected, and are only so many."""

import time

import pytest

from tests.support import der
from tests.support.aws_fleet import Candidate, assert_enrolled
from tests.support.aws_functions import ENROLL, issued


@pytest.fixture
def approving(deploy):
    return deploy("kms", uninvited="approve")


def test_an_uninvited_key_waits_for_its_approval_and_is_told_what_the_operator_has_to_type(approving):
    candidate = Candidate()
    before = approving.everything()
    reply = approving.enroll(candidate, with_token=False)
    assert (reply.status, reply.retry_after) == (202, 30)
    assert f"zymkey-fleet approve {candidate.fingerprint}" in reply.text
    assert approving.everything() == before
    (request,) = approving.ledger.requests()
    assert (request.fingerprint, request.suggested_name) == (candidate.fingerprint, candidate.name)

    approving.ledger.allow(
        candidate.name, fingerprint=candidate.fingerprint, by="test", now=int(time.time()), approved=True
    )
    assert_enrolled(approving, candidate, issued(approving.enroll(candidate, with_token=False)))


def test_of_a_stranger_s_long_name_only_the_beginning_is_kept(approving):
    stranger = Candidate()
    body = der.csr(stranger.key, der.name(("CN", der.UTF8, b"x" * 1500)))
    assert approving.post(ENROLL, body).status == 202
    (request,) = approving.ledger.requests()
    assert request.suggested_name == "x" * 64


def test_a_rejected_key_is_told_so(approving):
    candidate = Candidate()
    assert approving.enroll(candidate, with_token=False).status == 202
    approving.ledger.reject(candidate.fingerprint, now=int(time.time()))
    reply = approving.enroll(candidate, with_token=False)
    assert (reply.status, "rejected" in reply.text) == (403, True)


def test_of_strangers_only_so_many_may_wait(approving, monkeypatch):
    monkeypatch.setattr("ledger.waiting_keys.MAX_REQUESTS", 1)
    assert approving.enroll(Candidate(), with_token=False).status == 202
    reply = approving.enroll(Candidate(), with_token=False)
    assert (reply.status, reply.retry_after) == (429, 300)
    assert len(list(approving.ledger.requests())) == 1
