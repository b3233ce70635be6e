"""Every 401 is the same: one sentence, the same AWS calls, no write. Only the log says why."""

import io
import json

import pytest

from functions.handlers import http_api
from functions.request import decode
from tests.support.aws_faults import Faults
from tests.support.aws_fleet import Candidate, csr_body
from tests.support.aws_functions import ENROLL, api_event


def spent(fleet):
    owner = fleet.invite(Candidate())
    fleet.enroll(owner)
    return owner.name, owner.token


def blocked(fleet):
    owner = fleet.invite(Candidate())
    fleet.enroll(owner)
    fleet.ledger.block(owner.name, by="test", now=1)
    return owner.name, "wrong"


def expired(fleet):
    candidate = fleet.invite(Candidate(), lasts=-1)
    return candidate.name, candidate.token


STRANGERS = {
    "no credentials": (lambda fleet: None, "without a token"),
    "unknown name": (lambda fleet: (Candidate().name, "token"), "no invitation for a device"),
    "empty token": (lambda fleet: (fleet.invite(Candidate()).name, ""), "not the token"),
    "wrong token": (lambda fleet: (fleet.invite(Candidate()).name, "wrong"), "not the token"),
    "allowed by its key": (lambda fleet: (fleet.allow(Candidate()).name, "wrong"), "not the token"),
    "expired token": (expired, "has expired"),
    "spent token": (spent, "Another key has used"),
    "name of a blocked device": (blocked, "not the token"),
}


def test_every_401_has_one_sentence_one_cost_and_no_write(fleet, monkeypatch):
    answers = set()
    for name, (credentials_of, reason) in STRANGERS.items():
        credentials = credentials_of(fleet)
        stranger = Candidate()
        body = csr_body(stranger.key, credentials[0] if credentials else stranger.name)
        faults, stream = Faults(), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(http_api.log, "stream", stream)
            reply = fleet.post(ENROLL, body, credentials=credentials, faults=faults)
        assert reason in json.loads(stream.getvalue().splitlines()[-1])["reason"], name
        answers.add((reply.status, reply.text, tuple(reply.headers.items()), tuple(faults.calls)))
    ((status, text, _, calls),) = answers
    assert (status, calls) == (401, ("GetItem", "GetItem"))
    assert "zymkey-fleet invite NAME" in text


@pytest.mark.parametrize("issuer", ["aws"], indirect=True)
def test_a_csr_that_amazon_itself_refuses_is_no_failure_of_the_service(fleet, monkeypatch):
    candidate = fleet.invite(Candidate())
    refusal = fleet.iot.exceptions.InvalidRequestException({"Error": {}}, "CreateCertificateFromCsr")

    def refuse(**_):
        raise refusal

    with monkeypatch.context() as patch:
        patch.setattr(fleet.iot, "create_certificate_from_csr", refuse)
        reply = fleet.enroll(candidate)
    assert (reply.status, "does not take this CSR" in reply.text) == (400, True)


def test_addresses_count_by_the_network_that_a_subscriber_has():
    def source(address):
        event = api_event("GET /configuration")
        event["requestContext"]["http"] = {"sourceIp": address}
        return decode(event).source

    assert source("192.0.2.7") == source("::ffff:192.0.2.7") == "192.0.2.7"
    assert source("2001:db8:1:2:3::4") == source("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert source("2001:db8:1:3::9") != source("2001:db8:1:2::9")
    assert source(None) == source("nowhere") == "unknown"


def test_one_address_cannot_take_all_the_places_of_those_that_wait(deploy, monkeypatch):
    monkeypatch.setattr("ledger.waiting_keys.MAX_REQUESTS_OF_SOURCE", 2)
    fleet = deploy("kms", uninvited="approve")

    def ask(address):
        event = api_event(f"POST {ENROLL}", Candidate().csr)
        event["requestContext"]["http"] = {"sourceIp": address}
        return http_api.answer(event, fleet.deployment())["statusCode"]

    assert [ask("192.0.2.7") for _ in range(3)] == [202, 202, 429]
    assert ask("192.0.2.8") == 202
    assert [ask(f"2001:db8::{last}") for last in range(3)] == [202, 202, 429]


def test_a_log_line_is_ascii_on_one_line_and_bounded_whatever_a_stranger_sends(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(http_api.log, "stream", stream)
    http_api.answer(api_event("\x1b[31m\u2028\nGET " + "x" * 5000), deployment=None)
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 2000
