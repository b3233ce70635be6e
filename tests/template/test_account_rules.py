"""Accounts with rules of their own: tags, a permissions boundary, names of logs, concurrency, other partitions."""

import json
import re
from typing import Any

import pytest
from aws_cdk import App
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from infra.region import WITHOUT_IOT_CORE
from pki.issuers import ISSUERS
from tests.template.synthesis import Templates, add_app_stacks, context, synthesize

TAGS = {"team": "plant", "cost-centre": "4711 / a"}
# Every optional part that has roles of its own.
EVERYTHING: dict[str, Any] = {
    "credentials": {"managedPolicyArns": ["arn:aws:iam::123456789012:policy/devices"]},
    "iotLogging": "ERROR",
    "deviceDefender": {"frequency": "WEEKLY", "dayOfWeek": "SUN"},
}


SERVICES = {f"{each}.amazonaws.com" for each in ("apigateway", "events", "iot", "kms", "lambda")}


def both(templates: Templates) -> list[Any]:
    return [templates.trust, templates.enrollment]


def test_tags_are_the_stacks_own_and_no_part_of_a_template() -> None:
    """CloudFormation gives a stack's tags to all that takes tags: the template stays as it is.

    Only what is asked before a registration changes, since CloudFormation changes the registration.
    """
    app = App(context=context(tags=TAGS), builtin_cloud_formation_validation=False)
    add_app_stacks(app)
    stacks = app.synth().stacks
    assert [dict(stack.tags) for stack in stacks] == [TAGS, TAGS]
    plain = synthesize()
    templates = [_without_the_guard(stack.template) for stack in stacks]
    expected = [_without_the_guard(plain.trust.body), plain.enrollment.body]
    assert templates in (expected, expected[::-1])


def _without_the_guard(template: dict[str, Any]) -> dict[str, Any]:
    resources = {name: each for name, each in template["Resources"].items() if each["Type"] != "Custom::DeclaredStatus"}
    return {**template, "Resources": resources}


@pytest.mark.parametrize("issuer", ISSUERS)
def test_a_changed_tag_replaces_nothing(issuer: str) -> None:
    kinds = {each["Type"] for template in both(synthesize(issuer=issuer)) for each in template.resources().values()}
    for kind in (each for each in kinds if not each.startswith("Custom::")):
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        fixed = [*schema.get("createOnlyProperties", []), *schema.get("conditionalCreateOnlyProperties", [])]
        assert not [path for path in fixed if path.startswith("/properties/Tags")], kind
        tagging = schema.get("tagging") or {}
        assert tagging.get("tagUpdatable", True) or not tagging.get("taggable"), kind


BY_NAME = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::", {"Ref": "AWS::AccountId"}, ":policy/team"]]}


@pytest.mark.parametrize("issuer", ISSUERS)
@pytest.mark.parametrize(
    ("boundary", "shown"),
    [("team", BY_NAME), ("arn:aws-cn:iam::123456789012:policy/a/b", "arn:aws-cn:iam::123456789012:policy/a/b")],
)
def test_a_permissions_boundary_is_on_every_role(issuer: str, boundary: str, shown: Any) -> None:
    templates = both(synthesize(issuer=issuer, permissionsBoundary=boundary, **EVERYTHING))
    roles = {
        name: each["Properties"]
        for template in templates
        for name, each in template.resources("AWS::IAM::Role").items()
    }
    assert len(roles) >= 4
    assert {name: each.get("PermissionsBoundary") for name, each in roles.items()} == dict.fromkeys(roles, shown)


def test_a_boundary_changes_a_role_in_place() -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::IAM::Role").schema
    assert "/properties/PermissionsBoundary" in [f"/properties/{name}" for name in schema["properties"]]
    assert "/properties/PermissionsBoundary" not in schema["createOnlyProperties"]


def test_without_these_settings_nothing_of_them_is_in_a_template() -> None:
    for template in both(synthesize()):
        text = json.dumps(template.body)
        for word in ("PermissionsBoundary", "ReservedConcurrentExecutions", "vendedlogs", "LogGroupName"):
            assert word not in text.replace("CloudWatch", ""), word


def test_the_access_log_and_no_other_has_the_name_of_the_settings() -> None:
    template = synthesize(accessLogGroup="/aws/vendedlogs/zymkey").enrollment
    named = {
        name: each["Properties"]["LogGroupName"]
        for name, each in template.resources("AWS::Logs::LogGroup").items()
        if "LogGroupName" in each["Properties"]
    }
    ((name, group),) = named.items()
    assert group == "/aws/vendedlogs/zymkey"
    assert template.only("AWS::ApiGatewayV2::Stage")["AccessLogSettings"]["DestinationArn"] == {
        "Fn::GetAtt": [name, "Arn"]
    }


def test_concurrency_is_reserved_for_what_devices_wait_for_alone() -> None:
    template = synthesize(reservedConcurrency=20).enrollment
    reserved = {
        each["Properties"]["Handler"]: each["Properties"].get("ReservedConcurrentExecutions")
        for each in template.resources("AWS::Lambda::Function").values()
    }
    assert reserved.pop("functions.handlers.http_api.handler") == 20
    assert set(reserved.values()) == {None}


@pytest.mark.parametrize("region", [WITHOUT_IOT_CORE[0], "eu-central-1", None])
def test_a_region_without_aws_iot_core_is_a_warning(region: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CDK_DEFAULT_REGION", raising=False)
    if region:
        monkeypatch.setenv("CDK_DEFAULT_REGION", region)
    app = App(context=context(), builtin_cloud_formation_validation=False)
    add_app_stacks(app)
    warnings = [
        message.entry.data for stack in app.synth().stacks for message in stack.messages if "IoT" in str(message.entry)
    ]
    assert len(warnings) == (region in WITHOUT_IOT_CORE)
    assert all(f"there was no AWS IoT Core in {region}" in str(warning) for warning in warnings)


@pytest.mark.parametrize("issuer", ISSUERS)
def test_nothing_names_one_partition_of_aws(issuer: str) -> None:
    """The template is the same in ``aws``, ``aws-cn`` and ``aws-us-gov``: it says where it is by pseudo parameters.

    Principals of services, and event sources of CloudTrail, have one name in all of them.
    """
    for template in both(synthesize(issuer=issuer)):
        text = json.dumps(template.body)
        assert not re.findall(r"arn:aws[\w-]*:", text)
        hosts = set(re.findall(r"[\w.-]*\.amazonaws\.com[\w.]*|console\.aws[\w.]*", text))
        assert hosts <= SERVICES


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-central-1", "aws")]
)
@pytest.mark.parametrize("issuer", ISSUERS)
def test_a_stack_that_knows_its_region_has_no_other_partition_in_it(issuer: str, region: str, partition: str) -> None:
    for stack in _stacks_in(region, issuer):
        text = json.dumps(stack)
        assert set(re.findall(r"arn:(aws[\w-]*):", text)) <= {partition}
        assert region in text or "AWS::Region" in text
        # The console of another partition has another host; AWS's own domain in China ends with .cn.
        assert set(re.findall(r"[\w.-]*\.amazonaws\.com[\w.]*", text)) <= SERVICES


def _stacks_in(region: str, issuer: str) -> list[dict[str, Any]]:
    from aws_cdk import Environment, Stage

    app = App(context=context(issuer=issuer), builtin_cloud_formation_validation=False)
    stage = Stage(app, "There", env=Environment(account="123456789012", region=region))
    add_app_stacks(stage)
    return [stack.template for stack in app.synth().get_nested_assembly("assembly-There").stacks]
