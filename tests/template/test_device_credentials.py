"""AWS credentials for devices: a role for AWS IoT alone, its alias, and one more statement of the IoT policy."""

import json
from typing import Any

import pytest

from pki.issuers import ISSUERS
from tests.template.replacement import replacing_properties
from tests.template.synthesis import ADOPT, CREDENTIALS, Template, synthesize

ALIAS = "zymkey-device"
NEW = {"AWS::IAM::Role", "AWS::IoT::RoleAlias"}


def trust(issuer: str = "aws", **overrides: Any) -> Template:
    return synthesize(**{"issuer": issuer, "credentials": CREDENTIALS} | overrides).trust


def role(template: Template) -> dict[str, Any]:
    (name,) = (name for name in template.resources("AWS::IAM::Role") if name.startswith("DeviceCredentials"))
    return template.resources()[name]


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_setting_adds_a_role_its_alias_and_one_statement_of_the_policy_and_changes_nothing_else(
    issuer: str,
) -> None:
    without, with_them = synthesize(issuer=issuer).trust, trust(issuer)
    old, new = without.resources(), with_them.resources()
    assert {new[name]["Type"] for name in new.keys() - old.keys()} == NEW
    assert len(new) == len(old) + len(NEW)
    ((policy, _),) = without.resources("AWS::IoT::Policy").items()
    assert {name for name in old if old[name] != new[name]} == {policy}
    statements = new[policy]["Properties"]["PolicyDocument"]["Statement"]
    assert statements[:-1] == old[policy]["Properties"]["PolicyDocument"]["Statement"]
    for name in replacing_properties("AWS::IoT::Policy"):
        assert old[policy]["Properties"].get(name) == new[policy]["Properties"].get(name)


@pytest.mark.parametrize("issuer", ISSUERS)
def test_a_device_may_have_the_credentials_of_its_fleets_alias_and_of_no_other(issuer: str) -> None:
    statement = dict(trust(issuer).only("AWS::IoT::Policy")["PolicyDocument"]["Statement"][-1])
    (resource,) = statement.pop("Resource")
    assert statement == {"Sid": "Credentials", "Effect": "Allow", "Action": ["iot:AssumeRoleWithCertificate"]}
    prefix = ["arn:", {"Ref": "AWS::Partition"}, ":iot:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}]
    assert resource == {"Fn::Join": ["", [*prefix, f":rolealias/{ALIAS}"]]}


def test_an_adopted_policy_gets_the_statement_too() -> None:
    (document,) = trust("kms", adopt=ADOPT["kms"]).resources("Custom::AdoptedIotPolicy").values()
    assert f":rolealias/{ALIAS}" in json.dumps(document)


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_role_is_for_aws_iots_credential_provider_and_allows_what_the_setting_says(issuer: str) -> None:
    properties = dict(role(trust(issuer))["Properties"])
    assert properties.pop("AssumeRolePolicyDocument")["Statement"] == [
        {
            "Action": "sts:AssumeRole",
            "Effect": "Allow",
            "Principal": {"Service": "credentials.iot.amazonaws.com"},
            "Condition": {"StringEqualsIfExists": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        }
    ]
    assert properties == {
        "Description": "What the devices of the fleet zymkey may do in AWS",
        "ManagedPolicyArns": CREDENTIALS["managedPolicyArns"],
        "MaxSessionDuration": 7200,
        "Policies": [
            {
                "PolicyName": "Device",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": CREDENTIALS["statements"]},
            }
        ],
    }


@pytest.mark.parametrize(("seconds", "longest_session"), [(900, 3600), (3600, 3600), (43200, 43200)])
def test_the_alias_leads_to_the_role_for_a_time_that_the_role_takes(seconds: int, longest_session: int) -> None:
    template = trust(credentials=CREDENTIALS | {"durationSeconds": seconds})
    ((name, _),) = template.resources("AWS::IAM::Role").items()
    assert template.only("AWS::IoT::RoleAlias") == {
        "RoleAlias": ALIAS,
        "RoleArn": {"Fn::GetAtt": [name, "Arn"]},
        "CredentialDurationSeconds": seconds,
    }
    assert role(template)["Properties"]["MaxSessionDuration"] == longest_session


def test_nothing_that_allows_anything_stays_when_the_setting_or_the_stack_goes() -> None:
    template = trust()
    for kind in NEW:
        for resource in template.resources(kind).values():
            assert "DeletionPolicy" not in resource
            assert "UpdateReplacePolicy" not in resource


def test_no_setting_of_the_alias_replaces_it() -> None:
    """Devices have its name. It is all that CloudFormation would replace it for."""
    assert replacing_properties("AWS::IoT::RoleAlias") == ["RoleAlias"]
    for credentials in (CREDENTIALS | {"durationSeconds": 900}, {"managedPolicyArns": ["arn:aws:iam::aws:policy/X"]}):
        assert trust(credentials=credentials).only("AWS::IoT::RoleAlias")["RoleAlias"] == ALIAS
    assert trust(fleet="greenhouse").only("AWS::IoT::RoleAlias")["RoleAlias"] == "greenhouse-device"


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_enroll_function_tells_devices_the_alias_and_people_see_the_role(issuer: str) -> None:
    with_them = synthesize(issuer=issuer, credentials=CREDENTIALS).enrollment
    without = synthesize(issuer=issuer).enrollment
    _, function = with_them.function("functions.handlers.http_api.handler")
    assert function["Environment"]["Variables"]["ROLE_ALIAS"] == ALIAS
    assert "DeviceRoleArn" in with_them.body["Outputs"]
    assert "DeviceRoleArn" not in without.body["Outputs"]
    assert "ROLE_ALIAS" not in json.dumps(without.body)
