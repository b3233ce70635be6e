"""What is counted of each outcome, in lines that stay what they are: one JSON object, without a stranger's words."""

import io
import json
import re
import secrets
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from functions import refusals
from functions.failures import count_of, refusal_for
from functions.first_connection import admit
from functions.handlers import http_api
from functions.log import log
from functions.metrics import Metric, counted, measured, refused
from functions.refusals import BadRequest, Forbidden, Refusal, Unauthorized
from functions.superseded import DAY, SweepIncomplete, sweep
from ledger import Busy, LedgerError, Turns, errors
from pki.csr import CsrError
from pki.fingerprint import certificate_id
from pki.received_certificate import CertificateError
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate, csr_body
from tests.support.aws_functions import ENROLL, UPLOAD, api_event, issued, pem
from tests.support.role import FIRST_CONNECTION, SWEEP

EIGHT_MONTHS = 245 * DAY

# Amazon CloudWatch User Guide, "Specification: Embedded metric format": the schema of a document.
EMBEDDED = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "additionalProperties": False,
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "array",
                                    "maxItems": 30,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                },
                            },
                            "Metrics": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                        "Unit": {"enum": ["Count"]},
                                    },
                                    "additionalProperties": False,
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


class Counts:
    """Lines of the log, and what CloudWatch would make of them."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def take(self) -> list[tuple[Any, ...]]:
        """Each count since the last call: its name, its value and, if there is one, its reason."""
        counts = []
        for line in self._stream.getvalue().splitlines():
            document = json.loads(line)
            if "_aws" in document:
                counts += self._read(document)
        self._stream.seek(0)
        self._stream.truncate()
        return counts

    @staticmethod
    def _read(document: dict[str, Any]) -> list[tuple[Any, ...]]:
        jsonschema.validate(document, EMBEDDED)
        assert abs(document["_aws"]["Timestamp"] / 1000 - time.time()) < 60
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "ZymkeyFleet"
        (dimensions,) = directive["Dimensions"]
        assert all(re.fullmatch(r"[\x21-\x7e]{1,1024}", document[name]) for name in dimensions)
        assert document["Fleet"] == "plant"
        assert set(dimensions) in ({"Fleet"}, {"Fleet", "Reason"})
        reason = [document[name] for name in dimensions if name == "Reason"]
        assert all(isinstance(document[each["Name"]], int) for each in directive["Metrics"])
        return [(each["Name"], document[each["Name"]], *reason) for each in directive["Metrics"]]


@pytest.fixture
def counts(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(log, "stream", stream)
    monkeypatch.setenv("FLEET", "plant")
    return Counts(stream)


ONE = {each: (str(each), 1) for each in Metric}


@pytest.mark.parametrize("issuer", ["kms", "aws"], indirect=True)
def test_a_first_certificate_a_repeat_and_a_renewal(fleet, counts):
    candidate = fleet.invite(Candidate())
    issued(fleet.enroll(candidate))
    assert counts.take() == [ONE[Metric.ENROLLED]]
    issued(fleet.enroll(candidate))
    assert counts.take() == [], "the same certificate again is nothing new"
    issued(fleet.enroll(candidate, later=EIGHT_MONTHS)) if fleet.issuer == "kms" else None
    assert counts.take() == ([ONE[Metric.RENEWED]] if fleet.issuer == "kms" else [])


def test_an_enrollment_that_stops_halfway_is_counted_when_it_is_done_and_once(fleet, counts):
    candidate = fleet.invite(Candidate())
    with pytest.raises(Killed):
        fleet.enroll(candidate, Faults(operation="AttachPolicy", kind="killed"))
    assert counts.take() == []
    assert fleet.enroll(candidate).status == 202
    assert counts.take() == [ONE[Metric.PENDING]]
    issued(fleet.enroll(candidate, later=30))
    assert counts.take() == [ONE[Metric.ENROLLED]]


def test_a_device_that_waits_for_its_turn_is_no_device_that_waits_for_a_person(fleet, counts):
    fleet.ledger.take_turn(Turns(per_second=10), now=int(time.time() + 600) * 1000)
    assert fleet.enroll(fleet.invite(Candidate())).status == 202
    assert counts.take() == [ONE[Metric.QUEUED]]


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_a_certificate_from_elsewhere_waits_comes_and_is_not_taken_twice(fleet, authority, counts):
    candidate = fleet.invite(Candidate())
    assert fleet.enroll(candidate).status == 202
    assert counts.take() == [ONE[Metric.PENDING]]
    certificate = authority.sign(candidate)
    assert fleet.post(UPLOAD, pem(certificate)).status == 200
    assert counts.take() == [ONE[Metric.ENROLLED]]
    assert fleet.post(UPLOAD, pem(certificate)).status == 409
    assert counts.take() == [("Refused", 1, "Conflict")]


def test_strangers_are_counted_by_the_class_of_their_refusal(fleet, counts):
    stranger = Candidate()
    assert fleet.enroll(stranger, with_token=False).status == 401
    assert fleet.enroll(stranger).status == 401
    assert fleet.post(ENROLL, b"nonsense").status == 400
    assert fleet.get("/nothing").status == 404
    assert counts.take() == [("Refused", 1, each) for each in ("Unauthorized", "NotInvited", "CsrError", "NotFound")]


def test_a_renewal_of_a_key_that_the_ledger_does_not_know_has_a_name_of_its_own_and_the_same_answer(fleet, counts):
    stranger, invited = Candidate(), fleet.invite(Candidate())
    for credentials in (None, (stranger.name, "token"), (invited.name, "token")):
        body = csr_body(stranger.key, credentials[0] if credentials else stranger.name)
        enrollment, renewal = (
            fleet.post(f"/.well-known/est/{operation}", body, credentials=credentials)
            for operation in ("simpleenroll", "simplereenroll")
        )
        assert (renewal.status, renewal.text, renewal.headers) == (401, enrollment.text, enrollment.headers)
        assert [reason for *_, reason in counts.take()][1:] == ["UnknownRenewal"]
    issued(fleet.post("/.well-known/est/simplereenroll", invited.csr, credentials=(invited.name, invited.token)))
    fleet.ledger.block(invited.name, by="test", now=int(time.time()))
    assert fleet.post("/.well-known/est/simplereenroll", invited.csr).status == 403
    assert counts.take() == [ONE[Metric.ENROLLED], ("Refused", 1, "Blocked")]


def test_keys_that_wait_for_approval_and_those_that_find_no_place(deploy, counts, monkeypatch):
    monkeypatch.setattr("ledger.waiting_keys.MAX_REQUESTS_OF_SOURCE", 1)
    fleet = deploy("kms", uninvited="approve")
    assert [fleet.enroll(Candidate(), with_token=False).status for _ in range(2)] == [202, 429]
    assert counts.take() == [ONE[Metric.PENDING], ("Refused", 1, "RequestsFull")]


@pytest.mark.parametrize(
    ("kind", "metric"), [("throttled", Metric.THROTTLED), ("refused", Metric.FAILED), ("lost", Metric.FAILED)]
)
def test_aws_throttles_or_fails(fleet, counts, kind, metric):
    candidate = fleet.invite(Candidate())
    assert fleet.enroll(candidate, Faults(operation="RegisterCertificate", kind=kind)).status == 503
    assert counts.take() == [ONE[metric]]


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_first_connections(fleet, authority, counts):
    def come(candidate, certificate, **faults):
        event = {"certificateId": certificate_id(certificate)}
        deployment = fleet.deployment(Faults(**faults) if faults else None, handler=FIRST_CONNECTION)
        return admit(event, admission="known-keys", now=int(time.time()), deployment=deployment)

    def seen(candidate):
        certificate = authority.sign(candidate)
        reply = fleet.iot.register_certificate(
            certificatePem=pem(certificate).decode(),
            caCertificatePem=pem(authority.certificate).decode(),
            status="INACTIVE",
        )
        fleet.iot.update_certificate(certificateId=reply["certificateId"], newStatus="PENDING_ACTIVATION")
        return candidate, certificate

    known = seen(fleet.allow(Candidate()))
    with pytest.raises(ClientError):
        come(*known, operation="UpdateCertificate", kind="throttled")
    assert counts.take() == [ONE[Metric.THROTTLED]]
    assert (come(*known), come(*known)) == ("admitted", "known already")
    assert counts.take() == [ONE[Metric.ENROLLED]]
    assert "not allowed yet" in come(*seen(Candidate()))
    assert counts.take() == [("Refused", 1, "Forbidden")]
    busy = seen(fleet.allow(Candidate()))
    with pytest.raises(Killed):
        come(*busy, operation="AttachPolicy", kind="killed")
    with pytest.raises(Busy):
        come(*busy)
    assert counts.take() == [ONE[Metric.PENDING]]


# The daily report


def swept(fleet, later, faults=None):
    return sweep(grace_days=7, now=int(time.time()) + later, deployment=fleet.deployment(faults, handler=SWEEP))


def report(expiring, expired):
    return [("ExpiringWithin30Days", expiring), ("Expired", expired)]


def test_the_sweep_reports_also_when_there_is_nothing(fleet, counts):
    swept(fleet, 0)
    assert counts.take() == report(0, 0)


@pytest.mark.parametrize("validity", [365, 12])
def test_a_device_that_has_not_renewed_is_counted_until_it_renews_or_its_certificate_ends(deploy, counts, validity):
    """Twelve days are a certificate that always ends within a month: it counts when its renewal is late."""
    fleet = deploy("kms", validity_days=validity)
    late, blocked, invited = fleet.invite(Candidate()), fleet.invite(Candidate()), fleet.invite(Candidate())
    for each in (late, blocked):
        issued(fleet.enroll(each))
    fleet.ledger.block(blocked.name, by="test", now=int(time.time()))
    assert fleet.ledger.device(invited.name).state == "invited"
    life = validity * DAY
    counts.take()

    swept(fleet, life * 3 // 4)
    assert counts.take() == report(0, 0), "the fleet's last one renews at this time"
    swept(fleet, life - DAY)
    assert counts.take() == report(1, 0)
    swept(fleet, life + DAY)
    assert counts.take() == report(0, 1)
    issued(fleet.enroll(late, later=life + DAY))
    counts.take()
    swept(fleet, life + DAY)
    assert counts.take() == report(0, 0)


def test_the_report_names_the_devices_in_the_log_and_not_in_a_dimension(fleet, counts):
    late = fleet.invite(Candidate())
    issued(fleet.enroll(late))
    swept(fleet, 360 * DAY)
    line = json.loads(log.stream.getvalue().splitlines()[-1])
    assert line["expiring"] == [late.name]
    assert counts.take()[-2:] == report(1, 0)


def test_certificates_that_never_end_are_never_counted(deploy, counts):
    fleet = deploy("aws")
    issued(fleet.enroll(fleet.invite(Candidate())))
    counts.take()
    swept(fleet, 5 * 365 * DAY)
    assert counts.take() == report(0, 0)


def test_a_report_that_fails_keeps_no_certificate_in_use_and_is_missed(fleet, counts, monkeypatch):
    def fail(*_, **__):
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    monkeypatch.setattr("functions.superseded.report_expiring", fail)
    renewed = fleet.invite(Candidate())
    old = issued(fleet.enroll(renewed))
    issued(fleet.enroll(renewed, later=EIGHT_MONTHS))
    counts.take()
    assert swept(fleet, EIGHT_MONTHS + 8 * DAY) == [certificate_id(old)]
    assert counts.take() == []


def test_a_sweep_that_is_throttled(fleet, counts):
    renewed = fleet.invite(Candidate())
    issued(fleet.enroll(renewed))
    issued(fleet.enroll(renewed, later=EIGHT_MONTHS))
    counts.take()
    with pytest.raises(SweepIncomplete):
        swept(fleet, EIGHT_MONTHS + 8 * DAY, Faults(operation="UpdateCertificate", kind="throttled"))
    assert counts.take() == [*report(0, 0), ONE[Metric.THROTTLED]]


# What a stranger cannot do


@settings(max_examples=20)
@given(st.text(), st.text(), st.binary())
def test_no_strangers_word_comes_into_a_metric(name, token, body):
    """Each other value of a dimension would be a metric more, which costs money."""
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "stream", stream)
        patch.setenv("FLEET", "plant")
        event = api_event("POST " + name, body, credentials=(name, token))
        http_api.answer(event, deployment=None)
    ((metric, value, reason),) = Counts(stream).take()
    assert (metric, value, reason) == ("Refused", 1, "NotFound")


def test_what_was_sent_is_no_reason(fleet, counts):
    secret = secrets.token_hex(8)
    body = csr_body(Candidate().key, secret)
    fleet.post(ENROLL, body, credentials=(Candidate().name, "token"))
    fleet.post(ENROLL, body, credentials=(f"not a name {secret}", "token"))
    assert counts.take() == [("Refused", 1, "BadRequest")] * 2


def test_every_reason_is_in_the_runbook_and_there_are_few():
    """A closed set: the classes of refusals that can be answered with 4xx."""
    classes = [
        *(each for each in vars(refusals).values() if isinstance(each, type) and issubclass(each, Refusal)),
        *(each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, LedgerError)),
        *(CsrError, CertificateError),
    ]
    never = {
        Refusal,
        LedgerError,
        refusals._Later,
        refusals.NotYet,
        refusals.Queued,
        refusals.Unavailable,
        refusals.Throttled,
    }
    never |= {Busy, errors.LeaseLost}
    reasons = {each.__name__ for each in classes if each not in never}
    assert len(reasons) < 25
    runbook = (Path(__file__).parents[3] / "docs/runbook.md").read_text()
    table = runbook.split("| Reason | what it is |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == reasons


def test_a_log_line_without_a_fleet_is_a_valid_document_too(monkeypatch):
    monkeypatch.delenv("FLEET", raising=False)
    for document in (counted(Metric.FAILED), refused(BadRequest("no")), measured({Metric.EXPIRED: 0})):
        jsonschema.validate(document, EMBEDDED)
        assert document["Fleet"], "a dimension may not be empty"


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (Unauthorized("no"), "Refused"),
        (Forbidden("no"), "Refused"),
        (Busy(1), "Pending"),
        (errors.LeaseLost("no"), "Pending"),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "Sign"), "Throttled"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "Sign"), "Failed"),
        (ZeroDivisionError(), "Failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_each_failure_counts_one_thing(error, name):
    with pytest.raises(type(error)) as raised:
        raise error
    refusal = refusal_for(raised.value, request_id="")
    (directive,) = count_of(error, refusal)["_aws"]["CloudWatchMetrics"]
    assert [each["Name"] for each in directive["Metrics"]] == [name]
