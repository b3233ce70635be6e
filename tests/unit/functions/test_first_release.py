"""What a device of the first release makes of this release's refusals: the same exit code, and the whole sentence."""

import json
import subprocess
import sys

import pytest
from botocore.exceptions import EndpointConnectionError

from functions.failures import refusal_for
from functions.refusals import BadRequest, NotYet, Unauthorized
from functions.reply import refusal
from ledger import Blocked, Busy, KeyTaken, LeaseLost, RequestsFull, TokenSpent
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
