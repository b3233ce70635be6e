"""The retained stack: what devices depend on outlives it."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
from aws_cdk import Stack
from aws_cdk.assertions import Annotations, Match

from infra.external_authority_files import AuthorityFiles
from infra.external_certificate_authority import ExternalCertificateAuthority
from ledger import LISTED_ATTRIBUTES
from pki.issuers import ISSUERS
from tests.template.synthesis import EXTERNAL_CA, Template, synthesize

KEPT = {
    "AWS::DynamoDB::Table",
    "AWS::IAM::ManagedPolicy",
    "AWS::IoT::CACertificate",
    "AWS::IoT::Policy",
    "AWS::KMS::Key",
    "Custom::CertificateAuthority",
}
# What makes a CA, and is not needed once it is made.
REPLACEABLE = {"AWS::IAM::Policy", "AWS::IAM::Role", "AWS::Lambda::Function", "AWS::Logs::LogGroup"}
# What tells people about the CA's key.
REPLACEABLE |= {"AWS::CloudWatch::Alarm", "AWS::Events::Rule", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy"}
# What is asked before a CA is registered, and keeps nothing.
REPLACEABLE |= {"Custom::DeclaredStatus"}

TWO_CAS = [
    {"name": "2026", "commonName": "zymkey fleet CA", "organization": "zymkey fleet", "validityYears": 20},
    {"name": "2036", "commonName": "zymkey fleet CA", "organization": "zymkey fleet", "validityYears": 20},
]


def trust(**settings: object) -> Template:
    return synthesize(**settings).trust


@pytest.mark.parametrize("issuer", ISSUERS)
def test_whatever_devices_depend_on_outlives_the_stack_and_its_updates(issuer: str) -> None:
    for name, resource in trust(issuer=issuer).resources().items():
        assert resource["Type"] in KEPT | REPLACEABLE, name
        if resource["Type"] in KEPT:
            assert resource["DeletionPolicy"] in ("Retain", "RetainExceptOnCreate"), name
            assert resource["UpdateReplacePolicy"] == "Retain", name


@pytest.mark.parametrize("issuer", ISSUERS)
def test_nothing_that_is_kept_has_a_fixed_name_that_the_next_deployment_would_collide_with(issuer: str) -> None:
    for resource in trust(issuer=issuer).resources().values():
        if resource["Type"] in KEPT:
            assert not {"TableName", "PolicyName", "ManagedPolicyName", "KeyId"} & set(resource["Properties"])


def test_the_ledger_is_on_demand_recoverable_protected_and_forgets_expired_invitations() -> None:
    table = trust().only("AWS::DynamoDB::Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]


def test_the_listing_index_has_what_the_ledger_lists() -> None:
    (index,) = trust().only("AWS::DynamoDB::Table")["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "listing"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["listing", "pk"]
    assert index["Projection"]["ProjectionType"] == "INCLUDE"
    assert set(index["Projection"]["NonKeyAttributes"]) == set(LISTED_ATTRIBUTES)


def test_the_ca_is_made_by_the_custom_resource_and_registered_as_it_is() -> None:
    template = trust()
    ((certificate_id, certificate),) = template.resources("Custom::CertificateAuthority").items()
    ((key_id, _),) = template.resources("AWS::KMS::Key").items()
    assert {name: value for name, value in certificate["Properties"].items() if name != "ServiceToken"} == {
        "Name": "2026",
        "KeyArn": {"Fn::GetAtt": [key_id, "Arn"]},
        "CommonName": "zymkey fleet CA",
        "Organization": "zymkey fleet",
        "ValidityYears": 20,
    }
    assert template.only("AWS::IoT::CACertificate") == {
        "CACertificatePem": {"Fn::GetAtt": [certificate_id, "CertificatePem"]},
        "VerificationCertificatePem": {"Fn::GetAtt": [certificate_id, "VerificationCertificatePem"]},
        "CertificateMode": "DEFAULT",
        "Status": "ACTIVE",
        "AutoRegistrationStatus": "DISABLE",
        "Tags": [{"Key": "zymkey-fleet", "Value": "zymkey"}],
    }


def test_cloudformation_calls_the_provider_framework_which_answers_for_a_handler_that_cannot_even_start() -> None:
    template = trust()
    (certificate,) = template.resources("Custom::CertificateAuthority").values()
    framework_id = certificate["Properties"]["ServiceToken"]["Fn::GetAtt"][0]
    handler_id, _ = template.function("functions.handlers.certificate_authority.handler")
    framework = template.resources()[framework_id]["Properties"]
    assert framework["Handler"] == "framework.onEvent"
    assert framework["Environment"]["Variables"]["USER_ON_EVENT_FUNCTION_ARN"] == {"Fn::GetAtt": [handler_id, "Arn"]}


def test_nobody_else_is_allowed_to_invoke_what_makes_cas() -> None:
    assert trust().resources("AWS::Lambda::Permission") == {}
    assert trust().resources("AWS::Lambda::Url") == {}


def test_a_second_ca_leaves_the_first_as_it_is() -> None:
    one, two = trust(), trust(certificateAuthorities=TWO_CAS)
    for name, resource in one.resources().items():
        if resource["Type"] in KEPT:
            assert two.resources()[name] == resource
    for kind in ("AWS::KMS::Key", "Custom::CertificateAuthority", "AWS::IoT::CACertificate"):
        assert len(two.resources(kind)) == 2


@pytest.mark.parametrize("retired", ["2026", "2036"])
def test_a_retired_ca_is_declared_inactive_stays_what_it_is_and_neither_issues_nor_is_shown(retired: str) -> None:
    """CloudFormation's handler sends the status with every update: a status that only AWS IoT knows would be undone."""
    before = synthesize(certificateAuthorities=TWO_CAS)
    after = synthesize(certificateAuthorities=[ca | {"retired": ca["name"] == retired} for ca in TWO_CAS])

    for name, resource in before.trust.resources().items():
        if resource["Type"] in ("AWS::KMS::Key", "Custom::CertificateAuthority"):
            assert after.trust.resources()[name] == resource
        if resource["Type"] == "AWS::IoT::CACertificate":
            status = "INACTIVE" if retired in name else "ACTIVE"
            assert after.trust.resources()[name]["Properties"] == resource["Properties"] | {"Status": status}
    _, function = after.enrollment.function("functions.handlers.http_api.handler")
    variables = function["Environment"]["Variables"]
    (issues,) = {"2026", "2036"} - {retired}
    assert f"CertificateAuthority{issues}Key" in json.dumps(variables["CA_KEY_ARN"])
    assert f"CertificateAuthority{issues}Certificate" in json.dumps(variables["CA_CERTIFICATES"])
    assert f"CertificateAuthority{retired}" not in json.dumps(variables)
    (signs,) = (
        statement
        for statement in after.enrollment.statements_of_role(function["Role"]["Fn::GetAtt"][0])
        if statement["Action"] == "kms:Sign"
    )
    assert f"CertificateAuthority{issues}Key" in json.dumps(signs["Resource"])


def test_a_retired_external_ca_stays_registered_and_inactive_beside_another_issuer() -> None:
    registration = trust(issuer="aws", externalCertificateAuthority=EXTERNAL_CA | {"retired": True}).only(
        "AWS::IoT::CACertificate"
    )
    assert (registration["Status"], registration["AutoRegistrationStatus"]) == ("INACTIVE", "DISABLE")


@pytest.mark.parametrize("issuer", ["kms", "external"])
def test_aws_iot_is_asked_before_each_change_of_a_registration(issuer: str) -> None:
    """Whatever changes about a registration makes CloudFormation send its status: the function is called first."""
    authority = {
        "kms": lambda retired: {"certificateAuthorities": [TWO_CAS[0] | {"retired": retired}, TWO_CAS[1]]},
        "external": lambda retired: {
            "issuer": "aws",
            "externalCertificateAuthority": EXTERNAL_CA | {"retired": retired},
        },
    }[issuer]
    both = ({}, {"tags": {"owner": "acme"}}, {"fleet": "another"})
    templates = [trust(**authority(False) | each) for each in both] + [trust(**authority(True))]
    if issuer == "external":
        templates.append(trust(issuer="external", externalCertificateAuthority=EXTERNAL_CA))
    asked = []
    for template in templates:
        registrations = template.resources("AWS::IoT::CACertificate")
        for registration in registrations.values():
            (guard,) = registration["DependsOn"]
            properties = template.resources()[guard]["Properties"]
            for each in ("CACertificatePem", "Status"):
                assert properties[each.removeprefix("CA")] == registration["Properties"][each]
            if registration is next(iter(registrations.values())):
                asked.append(json.dumps(properties))
    assert len(set(asked)) == len(templates), "a change that the function does not hear of"
    assert properties["Setting"] in ("externalCertificateAuthority", 'the CA "2036" of certificateAuthorities')


def test_with_amazons_issuer_there_is_no_ca_no_key_and_nothing_that_makes_one() -> None:
    types = {resource["Type"] for resource in trust(issuer="aws").resources().values()}
    assert types == {"AWS::DynamoDB::Table", "AWS::IAM::ManagedPolicy", "AWS::IoT::Policy"}


def test_a_ca_elsewhere_is_registered_with_its_proof_and_meets_devices_at_their_first_connection() -> None:
    template = trust(issuer="external")
    assert template.only("AWS::IoT::CACertificate") == {
        "CACertificatePem": Path(EXTERNAL_CA["certificate"]).read_text(),
        "VerificationCertificatePem": Path(EXTERNAL_CA["verificationCertificate"]).read_text(),
        "CertificateMode": "DEFAULT",
        "Status": "ACTIVE",
        "AutoRegistrationStatus": "ENABLE",
        "Tags": [{"Key": "zymkey-fleet", "Value": "zymkey"}],
    }
    assert not template.resources("AWS::KMS::Key")
    assert not template.resources("Custom::CertificateAuthority")


@pytest.mark.parametrize("expired", [False, True])
def test_a_proof_that_has_expired_is_warned_of_since_a_first_registration_would_fail(expired: bool) -> None:
    stack = Stack(None, "Stack")
    files = AuthorityFiles(certificate_pem="ca", verification_pem="proof", is_verification_expired=expired)
    ExternalCertificateAuthority(
        stack,
        "CA",
        files=files,
        fleet="zymkey",
        retired=False,
        registers_at_first_connection=False,
        declared_status=Mock(),
    )
    warnings = Annotations.from_stack(stack).find_warning("*", Match.string_like_regexp("has expired"))
    assert len(warnings) == expired


def test_a_ca_elsewhere_without_proof_is_registered_for_sni_only() -> None:
    ca = {"certificate": EXTERNAL_CA["certificate"], "verificationCertificate": None}
    registration = trust(issuer="external", externalCertificateAuthority=ca).only("AWS::IoT::CACertificate")
    assert registration["CertificateMode"] == "SNI_ONLY"
    assert "VerificationCertificatePem" not in registration


def test_without_first_connection_an_unknown_certificate_is_not_registered_by_itself() -> None:
    template = trust(issuer="external", firstConnection="off")
    assert template.only("AWS::IoT::CACertificate")["AutoRegistrationStatus"] == "DISABLE"


def test_the_iot_policy_is_the_documents_of_the_settings_topics() -> None:
    template = trust(topics={"publish": ["plant/{device}/up"], "subscribe": ["plant/{device}/down/*"]})
    document = json.dumps(template.only("AWS::IoT::Policy")["PolicyDocument"])
    assert ":topic/plant/${iot:Connection.Thing.ThingName}/up" in document
    assert ":topic/plant/${iot:Certificate.Subject.CommonName}/up" in document
    assert ":topicfilter/plant/${iot:Connection.Thing.ThingName}/down/*" in document
    assert "devices/" not in document


@pytest.mark.parametrize(
    ("choice", "clients"), [("allow", None), ("try", "zymkey-fleet-verify-thingless-*"), ("deny", "*")]
)
def test_the_iot_policy_shuts_out_mqtt_without_a_thing_where_the_setting_says_so(
    choice: str, clients: str | None
) -> None:
    statements = trust(mqttWithoutThing=choice).only("AWS::IoT::Policy")["PolicyDocument"]["Statement"]
    denied = [each for each in statements if each["Effect"] == "Deny"]
    if clients is None:
        assert denied == []
        return
    (statement,) = denied
    assert statement["Action"] == ["iot:Connect", "iot:Publish"]
    assert statement["Condition"] == {"Bool": {"iot:Connection.Thing.IsAttached": "false"}}
    client, topic = statement["Resource"]
    assert client["Fn::Join"][1][-1].endswith(f":client/{clients}")
    assert topic["Fn::Join"][1][-1].endswith(f":topic/{'*' if choice == 'deny' else '*' + clients}")
