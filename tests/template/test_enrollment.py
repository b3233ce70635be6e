"""The stack that can be replaced: its routes, who may call them, and the environment of its functions."""

import json
import re
from typing import Any

import pytest

from audit.declared import Declared
from audit.policy import digest_of
from functions.deployment import Choices
from functions.lease import LEASE_SECONDS
from pki.issuers import ISSUERS
from tests.template.synthesis import Template, synthesize

HTTP_API = "functions.handlers.http_api.handler"
SEEN = "functions.handlers.seen.handler"
AUDIT = "functions.handlers.audit.handler"
SUPERSEDED = "functions.handlers.superseded.handler"
FIRST_CONNECTION = "functions.handlers.first_connection.handler"

EST = "/.well-known/est"
ROUTES = {
    *(f"GET {EST}/cacerts", f"POST {EST}/simpleenroll", f"POST {EST}/simplereenroll"),
    *(f"GET {EST}/{{label}}/cacerts", f"POST {EST}/{{label}}/simpleenroll", f"POST {EST}/{{label}}/simplereenroll"),
    "GET /configuration",
}


def enrollment(**settings: object) -> Template:
    return synthesize(**settings).enrollment


@pytest.mark.parametrize("issuer", ISSUERS)
def test_it_holds_no_state(issuer: str) -> None:
    types = {resource["Type"] for resource in enrollment(issuer=issuer).resources().values()}
    assert types <= {
        *("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route"),
        *("AWS::ApiGatewayV2::Stage", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"),
        "AWS::Events::Rule",
        *("AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IoT::TopicRule", "AWS::Lambda::Function"),
        *("AWS::Lambda::Permission", "AWS::Logs::LogGroup"),
    }


@pytest.mark.parametrize("issuer", ISSUERS)
def test_destroying_it_leaves_nothing_behind(issuer: str) -> None:
    for resource in enrollment(issuer=issuer).resources().values():
        assert resource.get("DeletionPolicy", "Delete") == "Delete"


def test_the_api_has_the_routes_of_est_and_the_configuration_and_no_others() -> None:
    for issuer in ("kms", "aws"):
        routes = enrollment(issuer=issuer).resources("AWS::ApiGatewayV2::Route").values()
        assert {route["Properties"]["RouteKey"] for route in routes} == ROUTES


def test_finished_certificates_can_be_uploaded_when_the_ca_is_elsewhere() -> None:
    routes = enrollment(issuer="external").resources("AWS::ApiGatewayV2::Route").values()
    assert {route["Properties"]["RouteKey"] for route in routes} == ROUTES | {"POST /certificates"}


def test_the_api_is_throttled_and_deploys_its_changes() -> None:
    stage = enrollment().only("AWS::ApiGatewayV2::Stage")
    assert stage["StageName"] == "$default"
    assert stage["AutoDeploy"] is True
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 500, "ThrottlingBurstLimit": 1000}
    assert "RouteSettings" not in stage


def test_uploads_take_no_turns_and_are_throttled_more_once_their_route_is_there() -> None:
    template = enrollment(issuer="external")
    ((_, stage),) = template.resources("AWS::ApiGatewayV2::Stage").items()
    assert stage["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"] == 500
    assert stage["Properties"]["RouteSettings"] == {
        "POST /certificates": {"ThrottlingRateLimit": 50, "ThrottlingBurstLimit": 100}
    }
    (upload,) = (
        name
        for name, route in template.resources("AWS::ApiGatewayV2::Route").items()
        if route["Properties"]["RouteKey"] == "POST /certificates"
    )
    assert upload in stage["DependsOn"]


def test_the_access_log_has_no_header_but_the_user_agent_and_no_body() -> None:
    settings = enrollment().only("AWS::ApiGatewayV2::Stage")["AccessLogSettings"]
    assert set(json.loads(settings["Format"]).values()) == {
        *("$context.requestId", "$context.requestTime", "$context.identity.sourceIp", "$context.identity.userAgent"),
        *(
            "$context.routeKey",
            "$context.status",
            "$context.domainName",
            "$context.responseLength",
            "$context.responseLatency",
        ),
        *("$context.error.message", "$context.integrationErrorMessage"),
    }


@pytest.mark.parametrize("issuer", ISSUERS)
def test_every_log_is_kept_as_long_as_the_settings_say(issuer: str) -> None:
    for template in (
        synthesize(issuer=issuer, logRetentionDays=30).trust,
        enrollment(issuer=issuer, logRetentionDays=30),
    ):
        groups = template.resources("AWS::Logs::LogGroup").values()
        assert all(group["Properties"]["RetentionInDays"] == 30 for group in groups)
        assert len(groups) >= len(template.resources("AWS::Lambda::Function"))
        for function in template.resources("AWS::Lambda::Function").values():
            group = function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
            assert group in template.resources("AWS::Logs::LogGroup")


def test_only_this_api_may_invoke_the_enroll_function() -> None:
    template = enrollment()
    function, _ = template.function(HTTP_API)
    ((api, _),) = template.resources("AWS::ApiGatewayV2::Api").items()
    (permission,) = permissions(template, function)
    account = [{"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}, ":"]
    assert permission == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Fn::GetAtt": [function, "Arn"]},
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": {
            "Fn::Join": [
                "",
                ["arn:", {"Ref": "AWS::Partition"}, ":execute-api:", *account, {"Ref": api}, "/*/*/*"],
            ]
        },
    }


def test_only_the_cas_rule_may_invoke_the_first_connection_function() -> None:
    template = enrollment(issuer="external")
    function, _ = template.function(FIRST_CONNECTION)
    (rule,) = (each for each in template.resources("AWS::IoT::TopicRule") if each.startswith("FirstConnection"))
    assert permissions(template, function) == [
        {
            "Action": "lambda:InvokeFunction",
            "FunctionName": {"Fn::GetAtt": [function, "Arn"]},
            "Principal": "iot.amazonaws.com",
            "SourceAccount": {"Ref": "AWS::AccountId"},
            "SourceArn": {"Fn::GetAtt": [rule, "Arn"]},
        }
    ]


@pytest.mark.parametrize("handler", [HTTP_API, FIRST_CONNECTION])
def test_a_lease_outlasts_the_function_that_holds_it(handler: str) -> None:
    """Or two requests of one key would work at once: the first, and the one that found its lease expired."""
    _, function = enrollment(issuer="external").function(handler)
    assert function["Timeout"] < LEASE_SECONDS


@pytest.mark.parametrize(("handler", "interval"), [(SUPERSEDED, "rate(1 hour)"), (AUDIT, "rate(1 day)")])
def test_only_the_schedule_may_invoke_the_sweep_and_the_audit(handler: str, interval: str) -> None:
    template = enrollment()
    function, _ = template.function(handler)
    ((rule, schedule),) = (
        (name, each)
        for name, each in template.resources("AWS::Events::Rule").items()
        if function in json.dumps(each["Properties"]["Targets"])
    )
    assert schedule["Properties"]["ScheduleExpression"] == interval
    assert [target["Arn"] for target in schedule["Properties"]["Targets"]] == [{"Fn::GetAtt": [function, "Arn"]}]
    assert permissions(template, function) == [
        {
            "Action": "lambda:InvokeFunction",
            "FunctionName": {"Fn::GetAtt": [function, "Arn"]},
            "Principal": "events.amazonaws.com",
            "SourceArn": {"Fn::GetAtt": [rule, "Arn"]},
        }
    ]


def permissions(template: Template, function: str) -> list[dict[str, Any]]:
    """Who may invoke a function, by its logical id."""
    return [
        permission["Properties"]
        for permission in template.resources("AWS::Lambda::Permission").values()
        if permission["Properties"]["FunctionName"] == {"Fn::GetAtt": [function, "Arn"]}
    ]


def test_the_rule_listens_to_the_events_of_this_ca_alone() -> None:
    rule = rules(enrollment(issuer="external"))["FirstConnectionRule"]
    separator, (select, ca, end) = rule["Sql"]["Fn::Join"]
    assert (separator, select, end) == ("", "SELECT * FROM '$aws/events/certificates/registered/", "'")
    assert ca["Fn::GetStackOutput"]["StackName"] == "zymkey-Trust"
    assert rule["AwsIotSqlVersion"] == "2016-03-23"


@pytest.mark.parametrize(("issuer", "first_connection"), [("kms", "any"), ("aws", "any"), ("external", "off")])
def test_there_is_no_first_connection_function_without_first_connections(issuer: str, first_connection: str) -> None:
    template = enrollment(issuer=issuer, firstConnection=first_connection)
    handlers = {each["Properties"]["Handler"] for each in template.resources("AWS::Lambda::Function").values()}
    assert handlers == {AUDIT, HTTP_API, SEEN, SUPERSEDED}
    assert "FirstConnectionRule" not in rules(template)


def rules(template: Template) -> dict[str, Any]:
    """What each topic rule does, by the beginning of its logical id."""
    return {
        re.sub(r"[0-9A-F]{8}$", "", name): rule["Properties"]["TopicRulePayload"]
        for name, rule in template.resources("AWS::IoT::TopicRule").items()
    }


@pytest.mark.parametrize("issuer", ISSUERS)
def test_what_shows_that_a_certificate_is_in_use_is_a_connection_or_its_device_s_own_word(issuer: str) -> None:
    template = enrollment(issuer=issuer, fleet="acme")
    found = rules(template)
    assert found["SeenConnected"]["Sql"] == (
        "SELECT clientId AS device, principalIdentifier AS certificateId FROM '$aws/events/presence/connected/+' "
        "WHERE regexp_matches(principalIdentifier, '^[0-9a-f]{64}$')"
    )
    assert found["SeenConfirmed"]["Sql"] == "SELECT device, topic(4) AS certificateId FROM 'zymkey/acme/seen/+'"
    function, _ = template.function("functions.handlers.seen.handler")
    assert sorted(str(each["SourceArn"]) for each in permissions(template, function)) == sorted(
        str({"Fn::GetAtt": [rule, "Arn"]}) for rule in template.resources("AWS::IoT::TopicRule") if "Seen" in rule
    )
    assert {(each["Principal"], str(each["SourceAccount"])) for each in permissions(template, function)} == {
        ("iot.amazonaws.com", "{'Ref': 'AWS::AccountId'}")
    }


def test_without_room_in_the_policy_there_is_no_rule_for_what_devices_may_not_say() -> None:
    long = {"publish": ["x" * 230 + "/{device}"], "subscribe": ["x" * 100 + "/{device}"]}
    both = synthesize(topics=long)
    assert set(rules(both.enrollment)) == {"SeenConnected"}
    assert "RenewalTopic" not in both.enrollment.body["Outputs"]
    assert "iot:Publish" not in str(both.trust.resources("AWS::IAM::ManagedPolicy")), "nor for what none hears"


def resolved(variables: dict[str, Any]) -> dict[str, str]:
    """Environment variables as a function would see them, with a placeholder where another resource is named."""
    return {
        name: value if isinstance(value, str) else "" if name == "CA_CERTIFICATES" else f"<{name}>"
        for name, value in variables.items()
    }


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_functions_can_read_what_the_template_tells_them(issuer: str) -> None:
    template = enrollment(
        issuer=issuer,
        fleet="greenhouse",
        certificateSubject={"O": "Acme"},
        certificateValidityDays=90,
        certificatesPerKeyAndDay=3,
        expiredGraceDays=0,
        uninvited="approve",
        topics={"publish": ["{device}/up"], "subscribe": ["{device}/down"]},
    )
    for function in template.resources("AWS::Lambda::Function").values():
        if function["Properties"]["Handler"] == AUDIT:
            continue
        choices = Choices.read(resolved(function["Properties"]["Environment"]["Variables"]))
        assert (choices.fleet, choices.issuer) == ("greenhouse", issuer)
        assert (choices.subject, choices.validity_days) == ({"O": "Acme"}, 90)
        assert choices.topics == {"publish": ["{device}/up"], "subscribe": ["{device}/down"]}
        assert (choices.certificates_per_key_and_day, choices.expired_grace_days) == (3, 0)
        assert choices.uninvited == "approve"
        assert (choices.ledger_table, choices.iot_policy) == ("<LEDGER_TABLE>", "<IOT_POLICY>")
        assert choices.ca_key_arn == ("<CA_KEY_ARN>" if issuer == "kms" else "")
        assert len(choices.ca_certificates) == (1 if issuer == "external" else 0)


def test_the_audit_is_told_what_it_needs_and_nothing_long() -> None:
    """Lambda takes 4,096 bytes of environment, and the other functions' may be full of CA certificates."""
    _, function = enrollment(renewalGraceDays=3, deleteAfterDays=60).function(AUDIT)
    variables = resolved(function["Environment"]["Variables"])
    assert (variables["RENEWAL_GRACE_DAYS"], variables["DELETE_AFTER_DAYS"]) == ("3", "60")
    choices = Choices.read(variables)
    assert (choices.fleet, choices.issuer) == ("zymkey", "kms")
    assert (choices.ledger_table, choices.iot_policy) == ("<LEDGER_TABLE>", "<IOT_POLICY>")
    assert (choices.ca_certificates, choices.topics, choices.subject) == ((), {}, {})


@pytest.mark.parametrize("retired", [True, False])
def test_command_and_audit_are_told_the_declared_policy_and_cas(retired: bool) -> None:
    cas = [
        {"name": name, "commonName": "CA", "organization": "", "validityYears": 20, "retired": retired and name == "1"}
        for name in ("1", "2")
    ]
    templates = synthesize(certificateAuthorities=cas)
    _, function = templates.enrollment.function(AUDIT)
    told = function["Environment"]["Variables"]["DECLARED"]
    assert told == templates.enrollment.body["Outputs"]["Declared"]["Value"]
    declared = Declared.read("".join(_text(part) for part in told["Fn::Join"][1]), fleet="zymkey", things={})
    assert [(each.status, each.auto_registration) for each in declared.authorities] == [
        ("INACTIVE" if retired else "ACTIVE", "DISABLE"),
        ("ACTIVE", "DISABLE"),
    ]
    ((_, policy),) = templates.trust.resources("AWS::IoT::Policy").items()
    parts = json.dumps(policy["Properties"]["PolicyDocument"])
    document = re.sub(r'\{"Fn::Join": \["", \[(.*?)\]\]\}', lambda match: _joined(match[1]), parts)
    assert digest_of(document, prefix="arn:P:iot:R:A") == declared.policy_digest


def _text(part: Any) -> str:
    return part if isinstance(part, str) else "token"


def _joined(parts: str) -> str:
    """A JSON string, of the parts of a Join."""
    tokens = {"AWS::Partition": "P", "AWS::Region": "R", "AWS::AccountId": "A"}
    return json.dumps(
        "".join(each if isinstance(each, str) else tokens[each["Ref"]] for each in json.loads(f"[{parts}]"))
    )


def test_the_first_connection_function_is_told_whom_to_let_in() -> None:
    _, function = enrollment(issuer="external", firstConnection="any").function(FIRST_CONNECTION)
    assert function["Environment"]["Variables"]["FIRST_CONNECTION"] == "any"


def test_the_sweep_is_told_how_long_to_wait() -> None:
    _, function = enrollment(renewalGraceDays=3).function(SUPERSEDED)
    assert function["Environment"]["Variables"]["RENEWAL_GRACE_DAYS"] == "3"


def test_the_newest_ca_signs_and_devices_are_shown_both_oldest_first() -> None:
    names = ("2026", "2036")
    cas = [{"name": name, "commonName": "CA", "organization": "", "validityYears": 20} for name in names]
    _, function = enrollment(certificateAuthorities=cas).function(HTTP_API)
    variables = function["Environment"]["Variables"]
    assert "CertificateAuthority2036Key" in variables["CA_KEY_ARN"]["Fn::GetStackOutput"]["OutputName"]
    separator, certificates = variables["CA_CERTIFICATES"]["Fn::Join"]
    old, newline, new = certificates
    assert (separator, newline) == ("", "\n")
    assert "CertificateAuthority2026Certificate" in old["Fn::GetStackOutput"]["OutputName"]
    assert "CertificateAuthority2036Certificate" in new["Fn::GetStackOutput"]["OutputName"]


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_functions_run_on_the_architecture_of_the_settings(architecture: str) -> None:
    both = synthesize(architecture=architecture)
    for template in (both.trust, both.enrollment):
        for function in template.resources("AWS::Lambda::Function").values():
            if function["Properties"]["Handler"].startswith("infra."):
                assert function["Properties"]["Architectures"] == [architecture]
                assert function["Properties"]["Runtime"] == "python3.13"


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_outputs_are_what_the_operators_command_looks_for_and_no_secret(issuer: str) -> None:
    outputs = enrollment(issuer=issuer).body["Outputs"]
    assert set(outputs) == {
        *("EnrollmentUrl", "ApiUrl", "LedgerTable", "IotPolicy", "Issuer", "Fleet", "MqttWithoutThing", "RenewalTopic"),
        *("DeleteAfterDays", "Declared"),
        *("ReaderPolicyArn", "OperatorPolicyArn", "VerifierPolicyArn"),
    }
    assert outputs["Issuer"] == {"Value": issuer}
    assert outputs["Fleet"] == {"Value": "zymkey"}


def test_two_fleets_in_one_account_share_no_name() -> None:
    one, two = synthesize(fleet="one"), synthesize(fleet="two")
    assert (one.trust.stack, one.enrollment.stack) == ("one-Trust", "one-Enrollment")
    assert "one-" not in json.dumps(two.trust.body) + json.dumps(two.enrollment.body)
