"""IoT policies are judged as the AWS IoT developer guide describes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.data_endpoint.policy_evaluation import Request, UnsupportedPolicyError, Verdict, evaluate

TOPIC = "arn:aws:iot:us-east-1:000000000000:topic/"
CERTIFICATE_VARIABLES = {"iot:Certificate.Subject.CommonName": "pi-1", "iot:CertificateId": "ab12"}


def judge(
    *statements: dict[str, Any],
    topic: str = "devices/pi-1/state",
    action: str = "iot:Publish",
    variables: dict[str, str] = CERTIFICATE_VARIABLES,
) -> Verdict:
    request = Request(action=action, resource=TOPIC + topic, variables=variables)
    return evaluate(request, [json.dumps({"Version": "2012-10-17", "Statement": list(statements)})])


def allow(resource: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "iot:Publish", "Resource": resource, **more}


def deny(resource: str, **more: Any) -> dict[str, Any]:
    return allow(resource, **more) | {"Effect": "Deny"}


def test_nothing_attached_allows_nothing() -> None:
    assert evaluate(Request(action="iot:Publish", resource=TOPIC + "a", variables={}), []) is Verdict.NOT_ALLOWED


def test_an_exact_resource_is_allowed() -> None:
    assert judge(allow(TOPIC + "devices/pi-1/state"))


def test_another_resource_is_not_allowed() -> None:
    assert judge(allow(TOPIC + "devices/pi-2/state")) is Verdict.NOT_ALLOWED


def test_another_action_is_not_allowed() -> None:
    assert judge(allow(TOPIC + "*", Action=["iot:Subscribe", "iot:Receive"])) is Verdict.NOT_ALLOWED


@pytest.mark.parametrize("action", ["iot:*", "iot:Pub*", "IOT:publish", "*", "iot:Publis?"])
def test_actions_take_wildcards_and_ignore_case(action: str) -> None:
    assert judge(allow(TOPIC + "*", Action=action))


@pytest.mark.parametrize("pattern", ["*", "devices/*", "devices/pi-?/state", "*/state", "devices/pi-1/state*"])
def test_resources_take_wildcards(pattern: str) -> None:
    assert judge(allow(TOPIC + pattern))


@pytest.mark.parametrize("pattern", ["devices/pi-1/stat", "devices/pi-??/state", "Devices/pi-1/state", "devices/+/#"])
def test_resources_match_whole_with_case_and_without_mqtt_wildcards(pattern: str) -> None:
    assert judge(allow(TOPIC + pattern)) is Verdict.NOT_ALLOWED


def test_a_dot_in_a_resource_is_only_a_dot() -> None:
    assert judge(allow(TOPIC + "devices/pi.1/state")) is Verdict.NOT_ALLOWED


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_an_explicit_deny_wins_in_any_order(order: slice) -> None:
    assert judge(*[allow(TOPIC + "*"), deny(TOPIC + "devices/*")][order]) is Verdict.DENIED


def test_a_deny_in_another_document_wins() -> None:
    documents = [json.dumps({"Statement": statement}) for statement in (allow("*"), deny("*"))]
    assert evaluate(Request(action="iot:Publish", resource=TOPIC + "a", variables={}), documents) is Verdict.DENIED


@pytest.mark.parametrize("variable", ["iot:Certificate.Subject.CommonName", "iot:certificate.subject.commonname"])
def test_the_common_name_scopes_a_device_to_its_own_topics(variable: str) -> None:
    own = allow(TOPIC + f"devices/${{{variable}}}/*")
    assert judge(own, topic="devices/pi-1/state")
    assert not judge(own, topic="devices/pi-2/state")


def test_a_variable_that_the_connection_lacks_matches_nothing() -> None:
    by_thing = allow(TOPIC + "devices/${iot:Connection.Thing.ThingName}/*")
    assert not judge(by_thing)
    assert not judge(by_thing, topic="devices/${iot:Connection.Thing.ThingName}/state")


def test_one_missing_variable_leaves_the_other_resources_of_a_statement_standing() -> None:
    either = allow([TOPIC + "devices/${iot:Absent}/*", TOPIC + "devices/${iot:CertificateId}/*"])
    assert judge(either, topic="devices/ab12/state")


@pytest.mark.parametrize("name", ["*", "pi-?", "a+b", "a#", "$x"])
def test_a_value_with_wildcard_characters_is_never_substituted(name: str) -> None:
    own = allow(TOPIC + "devices/${iot:Certificate.Subject.CommonName}/*")
    variables = {"iot:Certificate.Subject.CommonName": name}
    assert not judge(own, topic="devices/pi-2/state", variables=variables)
    assert not judge(own, topic=f"devices/{name}/state", variables=variables)


def test_special_characters_can_be_written_as_themselves() -> None:
    literal = allow(TOPIC + "devices/${*}")
    assert judge(literal, topic="devices/*")
    assert not judge(literal, topic="devices/a")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Bool": {"iot:Connection.Thing.IsAttached": "true"}}, Verdict.NOT_ALLOWED),
        ({"StringEquals": {"iot:CertificateId": "ab12"}}, Verdict.ALLOWED),
        ({"StringEquals": {"iot:CertificateId": ["zz", "ab12"]}}, Verdict.ALLOWED),
        ({"StringEquals": {"iot:CertificateId": "zz"}}, Verdict.NOT_ALLOWED),
        ({"StringNotEquals": {"iot:CertificateId": "zz"}}, Verdict.ALLOWED),
        ({"StringNotEquals": {"iot:CertificateId": ["zz", "ab12"]}}, Verdict.NOT_ALLOWED),
        ({"StringLike": {"iot:CertificateId": "ab*"}}, Verdict.ALLOWED),
        ({"StringNotLike": {"iot:CertificateId": "ab*"}}, Verdict.NOT_ALLOWED),
        ({"StringNotEquals": {"iot:Absent": "x"}}, Verdict.ALLOWED),
        ({"StringEquals": {"iot:Absent": "x"}}, Verdict.NOT_ALLOWED),
        (
            {"StringEquals": {"iot:CertificateId": "ab12"}, "Bool": {"iot:Connection.Thing.IsAttached": "true"}},
            Verdict.NOT_ALLOWED,
        ),
    ],
)
def test_conditions_must_all_hold(condition: dict[str, Any], expected: Verdict) -> None:
    assert judge(allow(TOPIC + "*", Condition=condition)) is expected


def test_a_boolean_condition_holds_for_an_attached_thing() -> None:
    attached = {"iot:Connection.Thing.IsAttached": "true"}
    statement = allow(TOPIC + "*", Condition={"Bool": {"iot:Connection.Thing.IsAttached": "true"}})
    assert judge(statement, variables=attached)


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "NotAction": "iot:Connect", "Resource": "*", "Action": "*"},
        allow("*", Condition={"DateLessThan": {"iot:CertificateId": "2030-01-01"}}),
        allow("*") | {"Effect": "Maybe"},
    ],
)
def test_what_is_not_evaluated_here_is_refused_and_not_guessed(statement: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedPolicyError):
        judge(statement)


@given(name=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), topic=st.text(max_size=40))
def test_a_policy_by_common_name_never_reaches_outside_its_prefix(name: str, topic: str) -> None:
    own = allow(TOPIC + "devices/${iot:Certificate.Subject.CommonName}/*")
    allowed = judge(own, topic=topic, variables={"iot:Certificate.Subject.CommonName": name})
    assert bool(allowed) == topic.startswith(f"devices/{name}/")
