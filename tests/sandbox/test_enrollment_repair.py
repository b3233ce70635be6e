"""Whatever breaks while the function works, the next request of the same key repairs it: exactly one certificate.

The function's own code runs here, in this process, against the deployment's table, KMS key and AWS IoT, with the
SDK's own retries off: they would hide each fault that happens once.
"""

import base64
import itertools
import time

import pytest
from botocore.config import Config

from infra.functions import http_api
from infra.functions.deployment import Choices, Deployment
from infra.functions.enroll import LEASE_SECONDS
from ledger import Ledger
from pki.fingerprint import certificate_id
from tests.sandbox.enrollment import Candidate, Cloud, assert_enrolled, issued_by_function
from tests.sandbox.faults import Faults, Killed

ONCE = Config(retries={"total_max_attempts": 1})
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


@pytest.fixture(scope="module")
def choices(sandbox, cloud) -> Choices:
    """What the deployed function was told."""
    functions = sandbox.boto("lambda").list_functions()["Functions"]
    (environment,) = (
        function["Environment"]["Variables"]
        for function in functions
        if function["Handler"] == "infra.functions.http_api.handler"
        and function["Environment"]["Variables"]["LEDGER_TABLE"] == cloud.outputs["LedgerTable"]
    )
    return Choices.read(environment)


@pytest.fixture
def function(sandbox, choices):
    """Calls the function's code with some faults, as a request of a candidate."""

    def call(candidate: Candidate, faults: Faults | None = None, *, later: int = 0) -> dict:
        iot, kms, dynamodb = (sandbox.boto(service, config=ONCE) for service in ("iot", "kms", "dynamodb"))
        (faults or Faults()).watch(iot, kms, dynamodb)
        deployment = Deployment(
            choices=choices,
            ledger=Ledger(client=dynamodb, table=choices.ledger_table),
            iot=iot,
            iot_once=iot,
            kms=kms,
        )
        credentials = base64.b64encode(f"{candidate.name}:{candidate.token}".encode()).decode()
        event = {
            "routeKey": "POST /.well-known/est/simpleenroll",
            "headers": {"authorization": f"Basic {credentials}"},
            "body": candidate.csr.decode(),
            "isBase64Encoded": False,
            "requestContext": {"requestId": "test"},
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(http_api, "_now", lambda: int(time.time()) + later)
            return http_api.answer(event, deployment)

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
    faults = Faults(position=position_of(function, cloud, "CreateThing"), kind="refused")
    assert function(candidate, faults)["statusCode"] == 503
    unfinished = cloud.ledger.device(candidate.name).unfinished
    assert unfinished
    life = life_of(issued_by_function(function(cloud.invite(Candidate()))))
    second = issued_by_function(function(candidate, later=int(life * 0.7)))  # it would be due for renewal at once
    assert certificate_id(second) != unfinished
    assert cloud.ledger.certificate(candidate.name, unfinished).state == "abandoned"
    assert cloud.ledger.device(candidate.name).unfinished is None


def position_of(function, cloud, operation: str) -> int:
    """The position of an operation among all the calls of an enrollment."""
    faults = Faults()
    function(cloud.invite(Candidate()), faults)
    return faults.calls.index(operation)


def life_of(certificate) -> float:
    """Seconds."""
    return (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds()


def changing(calls: list[str]) -> list[str]:
    return [call for call in calls if call not in READS]
