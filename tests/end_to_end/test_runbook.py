"""Each alarm's cause is raised in the deployed cloud: its metric tells, its paragraph shows why, and it ends.

What happens once here happens in as many periods as the alarm looks at: time is moved, not waited for.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from pki.fingerprint import certificate_id
from tests.support.cloud.alarms import (
    ALARM,
    INSUFFICIENT_DATA,
    OK,
    Alarm,
    as_object,
    deployed,
    queries,
)
from tests.support.cloud.commands import until
from tests.support.cloud.enrollment import Candidate, Cloud, issued
from tests.support.cloud.fault_proxy import FaultProxy, configure
from tests.support.cloud.running_sandbox import RunningSandbox

DAY = 86_400
FAILING = {"service": "dynamodb", "operation": "TransactWriteItems", "error": {"code": "InternalFailureException"}}
THROTTLED = {"service": "iot", "operation": "CreateThing", "error": {"code": "ThrottlingException"}}


@dataclass
class Deployed:
    """The deployed cloud, and what its functions have said since this case began."""

    sandbox: RunningSandbox
    faults: Callable[[], FaultProxy]
    began: int = field(default_factory=lambda: int(time.time() * 1000) - 1)

    def __post_init__(self) -> None:
        self.cloud = Cloud(self.sandbox)
        self.boto = self.sandbox.boto
        self.alarms = deployed(self.boto("cloudformation"), self.boto("cloudwatch"))
        stack = self.boto("cloudformation").describe_stack_resources(StackName="zymkey-Enrollment")["StackResources"]
        self._ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in stack}
        self._kinds = {each["LogicalResourceId"]: each["ResourceType"] for each in stack}

    def named(self, beginning: str, kind: str) -> str:
        """The name of the one resource of a kind whose logical id begins so."""
        (found,) = (self._ids[each] for each in self._ids if each.startswith(beginning) and self._kinds[each] == kind)
        return str(found)

    def lines(self, *functions: str) -> list[str]:
        """What these functions have written."""
        return [
            event["message"]
            for name in functions or ("Enroll", "Superseded", "Audit")
            for page in self.boto("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=self.named(name, "AWS::Logs::LogGroup"), startTime=self.began)
            for event in page["events"]
        ]

    def invoke(self, function: str, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call a function as its schedule does; the reply of Lambda's API."""
        reply: dict[str, Any] = self.boto("lambda", config=Config(retries={"total_max_attempts": 1})).invoke(
            FunctionName=self.named(function, "AWS::Lambda::Function"), Payload=json.dumps(event or {})
        )
        return reply

    def again(self) -> None:
        """From now on only what comes next counts."""
        self.began = int(time.time() * 1000) - 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """What was raised: the metric's value in a period in which it is there, and in one when it is over."""

    value: float | None
    afterwards: float | None = None
    logs: tuple[str, ...] = ("Enroll",)
    state: str = ALARM


@pytest.fixture
def cloud(sandbox: RunningSandbox, request: pytest.FixtureRequest) -> Deployed:
    return Deployed(sandbox, lambda: request.getfixturevalue("faults"))


# The causes


def an_aws_call_fails(cloud: Deployed, alarm: Alarm) -> Case:
    with cloud.faults().breaking(FAILING):
        reply = cloud.cloud.enroll(cloud.cloud.invite(Candidate()))
    assert reply.status_code == 503
    if alarm.metric.startswith("AWS/ApiGateway"):
        return Case(value=1)
    return Case(value=alarm.counted(cloud.lines("Enroll")))


def aws_throttles(cloud: Deployed, alarm: Alarm) -> Case:
    with cloud.faults().breaking(THROTTLED):
        assert cloud.cloud.enroll(cloud.cloud.invite(Candidate())).status_code == 503
    return Case(value=alarm.counted(cloud.lines("Enroll")))


def an_aws_service_answers_late(cloud: Deployed, alarm: Alarm) -> Case:
    candidate = cloud.cloud.invite(Candidate())
    calls = ("CreateThing", "RegisterCertificate", "AttachPolicy")
    late = [{"service": "iot", "operation": each, "latency": 3_600} for each in calls]
    with cloud.faults().breaking(*late):
        began = time.monotonic()
        cloud.cloud.enroll(candidate)
        took = (time.monotonic() - began) * 1000
    return Case(value=took, afterwards=1000)


def strangers_ask(cloud: Deployed, alarm: Alarm) -> Case:
    """One of them; the alarm takes as many as its threshold says."""
    assert cloud.cloud.enroll(Candidate(), with_token=False).status_code == 401
    return Case(value=1 * alarm.properties["Threshold"])


def unknown_devices_renew(cloud: Deployed, alarm: Alarm) -> Case:
    for _ in range(10):
        reply = cloud.cloud.enroll(Candidate(), with_token=False, operation="simplereenroll")
        assert reply.status_code == 401
    return Case(value=alarm.counted(cloud.lines("Enroll")))


def a_device_does_not_renew(cloud: Deployed, alarm: Alarm) -> Case:
    candidate = cloud.cloud.invite(Candidate())
    identifier = certificate_id(issued(cloud.cloud.enroll(candidate)))
    now, before = int(time.time()), cloud.cloud.ledger.certificate(candidate.name, identifier)
    assert before is not None
    with (
        changed(cloud, candidate.name, f"certificate#{identifier}", not_before=now - 300 * DAY),
        changed(cloud, candidate.name, "device", not_after=now + 20 * DAY),
    ):
        assert "FunctionError" not in cloud.invoke("Superseded")
        value = alarm.counted(cloud.lines("Superseded"))
        said = cloud.lines("Superseded")
    assert any(candidate.name in as_object(line).get("expiring", []) for line in said)
    began = cloud.began
    cloud.again()
    cloud.invoke("Superseded")
    afterwards = alarm.counted(cloud.lines("Superseded"))
    cloud.began = began
    return Case(value=value, afterwards=afterwards, logs=("Superseded",))


def somebody_switched_a_certificate_off(cloud: Deployed, alarm: Alarm) -> Case:
    before = alarm.counted(audited(cloud)) or 0
    candidate = cloud.cloud.invite(Candidate())
    identifier = certificate_id(issued(cloud.cloud.enroll(candidate)))
    iot = cloud.boto("iot")
    iot.update_certificate(certificateId=identifier, newStatus="INACTIVE")
    value = alarm.counted(audited(cloud))
    assert value == before + 1
    iot.update_certificate(certificateId=identifier, newStatus="ACTIVE")
    assert alarm.counted(audited(cloud)) == before  # what other tests have left
    return Case(value=value, afterwards=0, logs=("Audit",))


def audited(cloud: Deployed) -> list[str]:
    cloud.again()
    assert "FunctionError" not in cloud.invoke("Audit")
    return cloud.lines("Audit")


def a_schedule_is_switched_off(function: str) -> Callable[[Deployed, Alarm], Case]:
    def cause(cloud: Deployed, alarm: Alarm) -> Case:
        """The alarm's metric is silent then."""
        events, rule = cloud.boto("events"), cloud.named(f"{function}Schedule", "AWS::Events::Rule")
        events.disable_rule(Name=rule)
        try:
            (found,) = (each for each in events.list_rules()["Rules"] if each["Name"] == rule)
            assert found["State"] == "DISABLED"
        finally:
            events.enable_rule(Name=rule)
        cloud.invoke(function)  # as the paragraph says, by hand
        report = alarm.counted(cloud.lines(function))
        assert report is not None
        return Case(value=None, afterwards=report, logs=(function,), state=INSUFFICIENT_DATA)

    return cause


def somebody_schedules_the_deletion_of_the_key(cloud: Deployed, alarm: Alarm) -> Case:
    """CloudTrail's event, as AWS documents it, since the emulator has no trail."""
    stack = cloud.boto("cloudformation").describe_stack_resources(StackName="zymkey-Trust")["StackResources"]
    (rule,) = (each["PhysicalResourceId"] for each in stack if each["ResourceType"] == "AWS::Events::Rule")
    assert alarm.properties["Dimensions"] == [{"Name": "RuleName", "Value": rule}]
    events, (key,) = cloud.boto("events"), cloud.boto("kms").list_keys()["Keys"]
    pattern = events.describe_rule(Name=rule)["EventPattern"]

    def matches(operation: str, arn: str) -> bool:
        event = {
            "id": "1",
            "account": "000000000000",
            "region": "us-east-1",
            "time": "2026-11-26T00:00:00Z",
            "source": "aws.kms",
            "detail-type": "AWS API Call via CloudTrail",
            "resources": [],
            "detail": {"eventSource": "kms.amazonaws.com", "eventName": operation, "resources": [{"ARN": arn}]},
        }
        return bool(events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"])

    assert not matches("Sign", key["KeyArn"])
    assert not matches("ScheduleKeyDeletion", key["KeyArn"] + "0")
    return Case(value=float(matches("ScheduleKeyDeletion", key["KeyArn"])))


def a_function_cannot_start(function: str, event: dict[str, Any] | None = None) -> Callable[[Deployed, Alarm], Case]:
    def cause(cloud: Deployed, alarm: Alarm) -> Case:
        functions, name = cloud.boto("lambda"), cloud.named(function, "AWS::Lambda::Function")
        assert alarm.properties["Dimensions"] == [{"Name": "FunctionName", "Value": name}]
        configuration = functions.get_function_configuration(FunctionName=name)
        variables = configuration["Environment"]["Variables"]
        without = {each: value for each, value in variables.items() if each != "LEDGER_TABLE"}
        configure(functions, configuration, without)
        try:
            failed = "FunctionError" in cloud.invoke(function, event)
        finally:
            configure(functions, configuration, variables)
        assert "FunctionError" not in cloud.invoke(function, event)
        return Case(value=float(failed), afterwards=0, logs=())

    return cause


def all_functions_of_the_account_are_at_work(
    function: str, event: dict[str, Any] | None = None
) -> Callable[[Deployed, Alarm], Case]:
    def cause(cloud: Deployed, alarm: Alarm) -> Case:
        """As if: a function that may run no more is refused in the same way."""
        functions, name = cloud.boto("lambda"), cloud.named(function, "AWS::Lambda::Function")
        assert alarm.properties["Dimensions"] == [{"Name": "FunctionName", "Value": name}]
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        try:
            with pytest.raises(ClientError, match="TooManyRequests"):
                cloud.invoke(function, event)
        finally:
            functions.delete_function_concurrency(FunctionName=name)
        assert "FunctionError" not in cloud.invoke(function, event)
        return Case(value=1, afterwards=0, logs=())

    return cause


def lambda_gives_events_up(cloud: Deployed, alarm: Alarm) -> Case:
    """What Lambda does after three tries of an event that fails (AWS Lambda Developer Guide, metrics)."""
    (errors,) = (each for each in cloud.alarms.values() if each.heading == "FirstConnectionErrors")
    assert a_function_cannot_start("FirstConnection")(cloud, errors).value == 1
    assert alarm.properties["MetricName"] == "AsyncEventsDropped"
    assert alarm.properties["Dimensions"] == errors.properties["Dimensions"]
    return Case(value=1, logs=())


@contextmanager
def changed(cloud: Deployed, name: str, sk: str, **values: int) -> Iterator[None]:
    """The ledger remembers other times of a device for a while."""
    dynamodb, table = cloud.boto("dynamodb"), cloud.sandbox.outputs["LedgerTable"]
    key = {"pk": {"S": f"device#{name}"}, "sk": {"S": sk}}
    before = dynamodb.get_item(TableName=table, Key=key)["Item"]
    dynamodb.put_item(TableName=table, Item=before | {each: {"N": str(value)} for each, value in values.items()})
    try:
        yield
    finally:
        dynamodb.put_item(TableName=table, Item=before)


HTTP = {"version": "2.0", "routeKey": "GET /configuration", "headers": {}, "requestContext": {"requestId": "1"}}
CAUSES: dict[str, Callable[[Deployed, Alarm], Case]] = {
    "Failed": an_aws_call_fails,
    "ServerErrors": an_aws_call_fails,
    "Throttled": aws_throttles,
    "Slow": an_aws_service_answers_late,
    "ClientErrors": strangers_ask,
    "Requests": strangers_ask,
    "RenewalsRefused": unknown_devices_renew,
    "CertificatesExpiring": a_device_does_not_renew,
    "SweepNotRun": a_schedule_is_switched_off("Superseded"),
    "AuditFindings": somebody_switched_a_certificate_off,
    "AuditNotRun": a_schedule_is_switched_off("Audit"),
    "CaKey": somebody_schedules_the_deletion_of_the_key,
    "EnrollErrors": a_function_cannot_start("Enroll", HTTP),
    "EnrollThrottles": all_functions_of_the_account_are_at_work("Enroll", HTTP),
    **{f"{each}Errors": a_function_cannot_start(each) for each in ("Superseded", "Seen", "Audit")},
    **{f"{each}Throttles": all_functions_of_the_account_are_at_work(each) for each in ("Superseded", "Seen", "Audit")},
}
OF_FIRST_CONNECTIONS: dict[str, Callable[[Deployed, Alarm], Case]] = {
    "FirstConnectionErrors": a_function_cannot_start("FirstConnection"),
    "FirstConnectionThrottles": all_functions_of_the_account_are_at_work("FirstConnection"),
    "FirstConnectionDropped": lambda_gives_events_up,
}
SLOW = {"Slow"}


def cases(causes: dict[str, Callable[[Deployed, Alarm], Case]], issuer: str) -> list[Any]:
    return [pytest.param(each, issuer, marks=pytest.mark.slow if each in SLOW else ()) for each in causes]


@pytest.mark.parametrize("issuer", ["kms", "external"], indirect=True)
def test_every_alarm_that_is_deployed_is_tried(cloud: Deployed, issuer: str) -> None:
    tried = CAUSES | (OF_FIRST_CONNECTIONS if issuer == "external" else {})
    assert set(cloud.alarms) == set(tried) - ({"CaKey"} if issuer == "external" else set())


@pytest.mark.parametrize(
    ("heading", "issuer"), [*cases(CAUSES, "kms"), *cases(OF_FIRST_CONNECTIONS, "external")], indirect=["issuer"]
)
def test_its_cause_raises_the_alarm_and_the_paragraph_shows_it(cloud: Deployed, heading: str, issuer: str) -> None:
    alarm = cloud.alarms[heading]
    case = (CAUSES | OF_FIRST_CONNECTIONS)[heading](cloud, alarm)

    periods = alarm.properties["EvaluationPeriods"]
    assert alarm.state([case.value] * periods) == case.state, (case, alarm.properties)
    assert alarm.state([case.value] * periods + [case.afterwards] * periods) == OK, (case, alarm.properties)
    for query in queries(heading) if case.logs else ():
        until(lambda query=query: any(map(query.takes, cloud.lines(*case.logs))))
        taken = [as_object(line) for line in cloud.lines(*case.logs) if query.takes(line)]
        shown = {name for each in taken for name in flat(each)}
        assert [name for name in query.fields if name not in shown and name not in SOMETIMES] == [], query.text


# What only some lines have: a defect's place, or names beyond the first.
SOMETIMES = {"file", "line", "expiring.1", "expiring.2", "Reason"}


def flat(document: dict[str, Any]) -> Iterator[str]:
    """The names of a line's fields, as Logs Insights calls them."""
    for name, value in document.items():
        yield name
        if isinstance(value, list):
            yield from (f"{name}.{number}" for number in range(len(value)))
