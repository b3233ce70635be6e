"""The first release's devices and ledger, and this release's functions: its device understands every refusal, and what
its functions have enrolled is known, and renewed.
"""

import base64
import json
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from botocore.exceptions import EndpointConnectionError
from cryptography.hazmat.primitives.serialization import pkcs7

from functions.failures import refusal_for
from functions.refusals import BadRequest, NotYet, Queued, Unauthorized
from functions.reply import refusal
from ledger import THING_MARK, Blocked, Busy, CertificateState, KeyTaken, LeaseLost, RequestsFull, TokenSpent, Turns
from pki.fingerprint import certificate_id
from tests.support.aws_fleet import Candidate, assert_enrolled
from tests.support.aws_functions import ENROLL, UPLOAD, api_event, issued, life_of, pem
from tests.support.emulator import CREDENTIALS
from tests.support.release import FIRST_RELEASE, sources_of

PROGRAM = """
import json, sys
from types import SimpleNamespace
from device import est, https
key = SimpleNamespace(fingerprint="SHA256:x")
for status, headers, body in json.load(sys.stdin):
    reply = https.Reply(status, {name.lower(): value for name, value in headers.items()}, body.encode())
    error = est.refusal(reply, url="https://enroll.example.com", name="pi-1", token="t", key=key)
    print(json.dumps([type(error).__name__, error.exit_code, error.retry_after, error.cause]))
"""
ANSWERS = [
    (TokenSpent("Another key has used this token."), ("EnrollmentRefused", 6, None)),
    (Unauthorized("an unknown key without a token"), ("EnrollmentRefused", 6, None)),
    (KeyTaken("x"), ("EnrollmentRefused", 6, None)),
    (Blocked("Device 'pi-1' is blocked."), ("EnrollmentRefused", 6, None)),
    (BadRequest("The CSR cannot be read."), ("EnrollmentRefused", 6, None)),
    (NotYet("The CSR waits.", retry_after=60), ("Pending", 7, 60)),
    (Busy(7), ("Pending", 7, 7)),
    (LeaseLost("Another request has taken over."), ("Pending", 7, 1)),
    (Queued(at=datetime(2026, 11, 26, tzinfo=UTC), place=5_940, retry_after=600, per_second=10), ("Pending", 7, 600)),
    (RequestsFull("Too many keys from your address were rejected in these days."), ("Busy", 8, 300)),
    (EndpointConnectionError(endpoint_url="https://iot"), ("Busy", 8, 10)),
]


@pytest.fixture(scope="session")
def first_release(tmp_path_factory):
    return sources_of(FIRST_RELEASE, tmp_path_factory.mktemp("first-release"))


def test_a_device_of_the_first_release_understands_every_refusal(first_release):
    refusals = [refusal_for(error, request_id="0" * 36) for error, _ in ANSWERS]
    replies = [refusal(each).encode() for each in refusals]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([(each["statusCode"], each["headers"], each["body"]) for each in replies]),
        cwd=first_release,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [tuple(each[:3]) for each in told] == [expected for _, expected in ANSWERS]
    for each, (_, _, _, cause) in zip(refusals, told, strict=True):
        assert each.sentence.rstrip(".") in cause, "it is not cut off"


FUNCTION = """
import json, sys
import boto3
from infra.functions import http_api
from infra.functions.deployment import Choices, Deployment
from ledger import Ledger
told = json.load(sys.stdin)
iot, kms, dynamodb = (
    boto3.client(each, endpoint_url=told["aws"], region_name="us-east-1") for each in ("iot", "kms", "dynamodb")
)
choices = Choices.read(told["environment"])
ledger = Ledger(client=dynamodb, table=choices.ledger_table)
if told["fingerprint"]:
    ledger.allow(told["name"], fingerprint=told["fingerprint"], by="test", now=told["now"])
deployment = Deployment(choices=choices, ledger=ledger, iot=iot, iot_once=iot, kms=kms)
print(json.dumps(http_api.answer(told["event"], deployment)))
"""


@pytest.fixture
def enrolled_by_first_release(first_release, aws_address):
    """A function that lets a candidate in, and gives it its certificate, as the first release does both."""

    def enroll(fleet, candidate, route, body, *, allow=True):
        choices = fleet.choices
        environment = {
            "FLEET": choices.fleet,
            "ISSUER": choices.issuer,
            "LEDGER_TABLE": choices.ledger_table,
            "IOT_POLICY": choices.iot_policy,
            "CA_CERTIFICATES": pem(*choices.ca_certificates).decode(),
            "CA_KEY_ARN": choices.ca_key_arn,
            "CERTIFICATE_SUBJECT": "{}",
            "CERTIFICATE_VALIDITY_DAYS": str(choices.validity_days),
            "TOPICS": json.dumps(choices.topics),
            "UNINVITED": "refuse",
        }
        told = {
            "aws": aws_address,
            "environment": environment,
            "name": candidate.name,
            "fingerprint": candidate.fingerprint if allow else None,
            "now": int(time.time()),
            "event": api_event(f"POST {route}", body),
        }
        done = subprocess.run(
            [sys.executable, "-c", FUNCTION],
            input=json.dumps(told),
            cwd=first_release,
            env=CREDENTIALS,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout.splitlines()[-1])
        assert answer["statusCode"] == 200, answer
        return answer["body"]

    return enroll


@pytest.mark.parametrize("issuer", ["kms", "aws"], indirect=True)
def test_what_the_first_release_has_enrolled_is_known_and_renewed(fleet, enrolled_by_first_release):
    candidate = Candidate()
    (first,) = pkcs7.load_der_pkcs7_certificates(
        base64.b64decode(enrolled_by_first_release(fleet, candidate, ENROLL, candidate.csr))
    )
    assert_enrolled(fleet, candidate, first)
    assert THING_MARK not in fleet.iot.describe_thing(thingName=candidate.name)["attributes"]

    assert issued(fleet.enroll(candidate, with_token=False)) == first
    renewed = issued(fleet.enroll(candidate, with_token=False, later=int(life_of(first) * 0.8)))
    assert_renewed(fleet, candidate, first, renewed)


def test_a_device_that_queues_is_served_by_functions_of_the_first_release_too(deploy, enrolled_by_first_release):
    """While CloudFormation updates the functions some requests meet the old ones; and an update may be taken back."""
    fleet = deploy("kms", registrations_per_second=1)
    fleet.ledger.take_turn(Turns(per_second=1), now=int((time.time() + 600) * 1_000))
    candidate = fleet.invite(Candidate())
    assert "Zymkey-Place" in fleet.enroll(candidate).headers
    (first,) = pkcs7.load_der_pkcs7_certificates(
        base64.b64decode(enrolled_by_first_release(fleet, candidate, ENROLL, candidate.csr, allow=False))
    )
    assert_enrolled(fleet, candidate, first)
    assert issued(fleet.enroll(candidate)) == first
    assert fleet.ledger.device(candidate.name).turn is not None, "the first release knows of none"
    renewed = issued(fleet.enroll(candidate, later=int(life_of(first) * 0.8)))
    assert_renewed(fleet, candidate, first, renewed)
    assert fleet.ledger.device(candidate.name).turn is None


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_what_the_first_release_was_given_is_known_and_renewed(fleet, authority, enrolled_by_first_release):
    candidate = Candidate()
    first = authority.sign(candidate)
    enrolled_by_first_release(fleet, candidate, UPLOAD, pem(first))
    assert_enrolled(fleet, candidate, first)

    assert issued(fleet.enroll(candidate, with_token=False)) == first
    later = int(life_of(first) * 0.8)
    assert fleet.enroll(candidate, with_token=False, later=later).status == 202
    renewed = authority.sign(candidate)
    assert fleet.post(UPLOAD, pem(renewed)).status == 200
    assert_renewed(fleet, candidate, first, renewed)


def assert_renewed(fleet, candidate, first, renewed):
    device = fleet.ledger.device(candidate.name)
    assert (device.certificate_id, device.superseded) == (certificate_id(renewed), certificate_id(first))
    assert fleet.certificates_of(candidate.name) == {certificate_id(each): "ACTIVE" for each in (first, renewed)}
    assert fleet.policies_of(certificate_id(renewed)) == [fleet.iot_policy]
    states = {each.certificate_id: each.state for each in fleet.ledger.certificates(candidate.name)}
    assert states == {
        certificate_id(first): CertificateState.SUPERSEDED,
        certificate_id(renewed): CertificateState.ACTIVE,
    }
    assert candidate.name in [each.name for each in fleet.ledger.devices()]
    assert fleet.iot.describe_thing(thingName=candidate.name)["attributes"][THING_MARK] == fleet.choices.fleet
