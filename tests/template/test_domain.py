"""The setting ``domain``: the host name, its mapping and records, and what outputs and functions say of it."""

from typing import Any

import pytest

from functions.configuration import configuration
from functions.deployment import Choices, Deployment
from infra.setting_readers import SettingsError
from pki.issuers import ISSUERS
from tests.template.synthesis import Template, synthesize

NAME = "enroll.example.com"
ARN = "arn:aws:acm:eu-central-1:123456789012:certificate/0f2b9c1e-0000-4000-8000-000000000000"
DOMAIN = {"name": NAME, "certificateArn": ARN}
ZONE = {"hostedZoneId": "Z3EXAMPLE", "hostedZoneName": "example.com"}
HTTP_API = "functions.handlers.http_api.handler"

KINDS = {"AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::ApiMapping", "AWS::Route53::RecordSet"}


def enrollment(issuer: str = "kms", **domain: str) -> Template:
    return synthesize(issuer=issuer, domain=DOMAIN | domain).enrollment


def the(template: Template, kind: str) -> tuple[str, dict[str, Any]]:
    ((name, resource),) = template.resources(kind).items()
    return name, resource


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_name_leads_to_the_apis_default_stage_over_tls_1_2(issuer: str) -> None:
    template = enrollment(issuer)
    api, _ = the(template, "AWS::ApiGatewayV2::Api")
    stage, _ = the(template, "AWS::ApiGatewayV2::Stage")
    name, resource = the(template, "AWS::ApiGatewayV2::DomainName")
    assert resource["Properties"] == {
        "DomainName": NAME,
        "DomainNameConfigurations": [
            {
                "CertificateArn": ARN,
                "EndpointType": "REGIONAL",
                "IpAddressType": "dualstack",
                "SecurityPolicy": "TLS_1_2",
            }
        ],
    }
    _, mapping = the(template, "AWS::ApiGatewayV2::ApiMapping")
    assert mapping["Properties"] == {"ApiId": {"Ref": api}, "DomainName": NAME, "Stage": "$default"}
    assert set(mapping["DependsOn"]) == {name, stage}


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_apis_own_name_keeps_working_and_is_an_output(issuer: str) -> None:
    template = enrollment(issuer)
    own = synthesize(issuer=issuer).enrollment.body["Outputs"]["EnrollmentUrl"]
    outputs = template.body["Outputs"]
    assert outputs["EnrollmentUrl"] == {"Value": f"https://{NAME}"}
    assert outputs["ApiUrl"] == own
    assert not template.only("AWS::ApiGatewayV2::Api").get("DisableExecuteApiEndpoint", False)


def test_a_hosted_zone_gets_an_alias_for_ipv4_and_one_for_ipv6() -> None:
    template = enrollment(**ZONE)
    name, _ = the(template, "AWS::ApiGatewayV2::DomainName")
    records = [each["Properties"] for each in template.resources("AWS::Route53::RecordSet").values()]
    alias = {
        "DNSName": {"Fn::GetAtt": [name, "RegionalDomainName"]},
        "EvaluateTargetHealth": False,
        "HostedZoneId": {"Fn::GetAtt": [name, "RegionalHostedZoneId"]},
    }
    assert sorted(records, key=lambda record: record["Type"]) == [
        {"AliasTarget": alias, "HostedZoneId": "Z3EXAMPLE", "Name": f"{NAME}.", "Type": kind} for kind in ("A", "AAAA")
    ]


@pytest.mark.parametrize("issuer", ISSUERS)
def test_a_former_name_stays_what_it_was_while_devices_are_told_another(issuer: str) -> None:
    before = enrollment(issuer, **ZONE).resources()
    new = {"name": "new.example.com", "certificateArn": ARN}
    template = synthesize(issuer=issuer, domain=new, formerDomains=[DOMAIN | ZONE]).enrollment

    for name, resource in before.items():
        if resource["Type"] in KINDS:
            assert template.resources()[name] == resource, name
    added = [each for name, each in template.resources().items() if name not in before]
    assert sorted(each["Type"] for each in added) == ["AWS::ApiGatewayV2::ApiMapping", "AWS::ApiGatewayV2::DomainName"]
    assert template.body["Outputs"]["EnrollmentUrl"] == {"Value": "https://new.example.com"}
    _, function = template.function(HTTP_API)
    assert function["Environment"]["Variables"]["ENROLLMENT_URL"] == "https://new.example.com"


def test_dns_elsewhere_gets_no_record_and_an_output_to_point_at() -> None:
    template = enrollment()
    name, _ = the(template, "AWS::ApiGatewayV2::DomainName")
    assert template.resources("AWS::Route53::RecordSet") == {}
    assert template.body["Outputs"]["DomainTarget"] == {"Value": {"Fn::GetAtt": [name, "RegionalDomainName"]}}


@pytest.mark.parametrize("issuer", ISSUERS)
def test_without_the_setting_there_is_nothing_of_it(issuer: str) -> None:
    template = synthesize(issuer=issuer).enrollment
    assert not {resource["Type"] for resource in template.resources().values()} & KINDS
    assert "DomainTarget" not in template.body["Outputs"]
    assert template.body["Outputs"]["ApiUrl"] == template.body["Outputs"]["EnrollmentUrl"]


@pytest.mark.parametrize("issuer", ISSUERS)
def test_a_domain_adds_resources_and_changes_only_the_environments(issuer: str) -> None:
    """So that a deployment in the field can get one: nothing is replaced."""
    without, template = synthesize(issuer=issuer).enrollment.resources(), enrollment(issuer, **ZONE).resources()
    assert {resource["Type"] for name, resource in template.items() if name not in without} == KINDS
    changed = {name for name, resource in without.items() if template[name] != resource}
    assert {without[name]["Type"] for name in changed} <= {"AWS::Lambda::Function"}
    assert all(resource.get("DeletionPolicy", "Delete") == "Delete" for resource in template.values())


class Announcing:
    """As much of a deployment as the configuration document needs."""

    data_endpoint = "abc-ats.iot.eu-central-1.amazonaws.com"

    def __init__(self, variables: dict[str, Any]) -> None:
        texts = {name: value if isinstance(value, str) else f"<{name}>" for name, value in variables.items()}
        self.choices = Choices.read({**texts, "CA_CERTIFICATES": ""})


@pytest.mark.parametrize("issuer", ISSUERS)
def test_devices_are_told_the_domain_and_never_the_apis_own_name(issuer: str) -> None:
    def announced(template: Template) -> str | None:
        _, function = template.function(HTTP_API)
        deployment: Any = Announcing(function["Environment"]["Variables"])
        as_deployed: Deployment = deployment
        told: str | None = configuration(as_deployed).get("enrollmentUrl")
        return told

    assert announced(enrollment(issuer)) == f"https://{NAME}"
    assert announced(synthesize(issuer=issuer).enrollment) is None


def test_a_certificate_of_another_region_is_refused_at_synth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDK_DEFAULT_REGION", "us-east-1")
    with pytest.raises(SettingsError, match="us-east-1: request it there"):
        enrollment(name="another.example.com")
    monkeypatch.setenv("CDK_DEFAULT_REGION", "eu-central-1")
    assert enrollment(name="another.example.com").resources("AWS::ApiGatewayV2::DomainName")
