"""The deployed function itself, with its own role, its own retries and the real gateway, when AWS fails it.

`test_enrollment_repair` breaks every single call of the same code, one at a time; here a service fails for as long
as the SDK keeps trying, between the function where it runs and AWS.
"""

import pytest

from tests.support.cloud.enrollment import Candidate, Cloud, assert_enrolled, issued
from tests.support.cloud.fault_proxy import FaultProxy
from tests.support.cloud.running_sandbox import RunningSandbox

CALLS = [
    ("dynamodb", "TransactWriteItems"),
    ("kms", "Sign"),
    ("iot", "RegisterCertificate"),
    ("iot", "CreateThing"),
    ("iot", "AttachThingPrincipal"),
    ("iot", "AttachPolicy"),
]
FAULTS = {
    "failing": {"error": {"code": "InternalFailureException", "status": 500}},
    "losing its replies": {"response": {"abort_frac": 0}},
}
THROTTLED = {"service": "iot", "operation": "CreateThing", "error": {"code": "ThrottlingException"}}


@pytest.fixture
def cloud(sandbox: RunningSandbox) -> Cloud:
    return Cloud(sandbox)


# Every call of the same code is broken by test_enrollment_repair; here two are, and the others in `make test-slow`.
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("service", "operation"),
    [
        pytest.param(*each, marks=() if each[1] in ("TransactWriteItems", "RegisterCertificate") else pytest.mark.slow)
        for each in CALLS
    ],
)
def test_an_enrollment_that_aws_fails_is_503_and_the_next_one_repairs_it(
    cloud: Cloud, faults: FaultProxy, service: str, operation: str, fault: str
) -> None:
    candidate = cloud.invite(Candidate())
    with faults.breaking({"service": service, "operation": operation, **FAULTS[fault]}):
        reply = cloud.enroll(candidate)
    assert reply.status_code == 503
    assert int(reply.headers["Retry-After"]) > 0
    assert_enrolled(cloud, candidate, issued(cloud.enroll(candidate)))


def test_an_enrollment_that_aws_throttles_is_503_with_the_time_to_wait(cloud: Cloud, faults: FaultProxy) -> None:
    candidate = cloud.invite(Candidate())
    with faults.breaking(THROTTLED):
        reply = cloud.enroll(candidate)
    assert reply.status_code == 503
    assert int(reply.headers["Retry-After"]) > 0
    assert_enrolled(cloud, candidate, issued(cloud.enroll(candidate)))


def test_one_fault_is_hidden_by_the_functions_own_retries(cloud: Cloud, faults: FaultProxy) -> None:
    candidate = cloud.invite(Candidate())
    with faults.breaking(THROTTLED | {"times": 1}):
        certificate = issued(cloud.enroll(candidate))
    assert_enrolled(cloud, candidate, certificate)
