"""What a destroyed deployment left is named, not made again; and nothing drops it by mistake afterwards."""

import json

import pytest

from fleet.left_behind import is_fleets_own
from pki.issuers import ISSUERS
from tests.support.release import FIRST_RELEASE, file_of
from tests.template.synthesis import ADOPT, ADOPTED_KEY, Template, synthesize

PLACEHOLDER = "AWS::CloudFormation::WaitConditionHandle"
# What is in the template of a new deployment, and is not made again when it is adopted.
ADOPTABLE = {
    "kms": {"AWS::DynamoDB::Table", "AWS::IoT::Policy", "AWS::KMS::Key"},
    "aws": {"AWS::DynamoDB::Table", "AWS::IoT::Policy"},
    "external": {"AWS::DynamoDB::Table", "AWS::IoT::Policy", "AWS::IoT::CACertificate"},
}


def trust(issuer: str, **settings: object) -> Template:
    return synthesize(issuer=issuer, **settings).trust


@pytest.mark.parametrize("issuer", ISSUERS)
def test_what_is_adopted_is_not_made_again(issuer: str) -> None:
    types = {resource["Type"] for resource in trust(issuer, adopt=ADOPT[issuer]).resources().values()}
    # AWS IoT takes a CA once: with an adopted key its registration is not declared, either.
    assert not types & {*ADOPTABLE[issuer], "AWS::IoT::CACertificate"}


@pytest.mark.parametrize("issuer", ISSUERS)
def test_a_deployment_that_forgets_the_setting_is_refused_and_begins_no_empty_ledger(issuer: str) -> None:
    """CloudFormation refuses a change of a resource's type ("Update of resource type is not permitted")."""
    new, adopted = trust(issuer).resources(), trust(issuer, adopt=ADOPT[issuer]).resources()
    changed = {new[name]["Type"]: adopted[name]["Type"] for name in new if new[name]["Type"] in ADOPTABLE[issuer]}
    assert changed == dict.fromkeys(ADOPTABLE[issuer], PLACEHOLDER)


@pytest.mark.parametrize("member", ["ledgerTable", "iotPolicy"])
def test_each_member_can_be_adopted_alone(member: str) -> None:
    kinds = {"ledgerTable": "AWS::DynamoDB::Table", "iotPolicy": "AWS::IoT::Policy"}
    template = trust("aws", adopt={member: "old"})
    types = [resource["Type"] for resource in template.resources().values()]
    assert {kind for kind in kinds.values() if kind in types} == {*kinds.values()} - {kinds[member]}


@pytest.mark.parametrize("issuer", ISSUERS)
def test_everything_that_used_the_new_ledger_and_policy_uses_the_adopted_ones(issuer: str) -> None:
    templates = synthesize(issuer=issuer, adopt=ADOPT[issuer])
    outputs = templates.enrollment.body["Outputs"]
    assert (outputs["LedgerTable"]["Value"], outputs["IotPolicy"]["Value"]) == ("old-ledger", "old-policy")
    for template in (templates.trust, templates.enrollment):
        for function in template.resources("AWS::Lambda::Function").values():
            variables = function["Properties"].get("Environment", {}).get("Variables", {})
            assert variables.get("LEDGER_TABLE", "old-ledger") == "old-ledger"
            assert variables.get("IOT_POLICY", "old-policy") == "old-policy"
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for policy in template.resources(kind).values():
                for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                    if "dynamodb" in json.dumps(statement["Action"]):
                        assert ":table/old-ledger" in json.dumps(statement["Resource"])


def test_the_adopted_key_signs_and_its_ca_is_looked_up_and_not_made() -> None:
    templates = synthesize(adopt=ADOPT["kms"])
    (certificate,) = templates.trust.resources("Custom::CertificateAuthority").values()
    assert (certificate["Properties"]["KeyArn"], certificate["Properties"]["Adopted"]) == (ADOPTED_KEY, "true")
    _, enroll = templates.enrollment.function("functions.handlers.http_api.handler")
    assert enroll["Environment"]["Variables"]["CA_KEY_ARN"] == ADOPTED_KEY
    signing = [
        statement["Resource"]
        for statement in templates.enrollment.statements_of_role(enroll["Role"]["Fn::GetAtt"][0])
        if "kms:Sign" in statement["Action"]
    ]
    assert signing == [ADOPTED_KEY]
    assert "kms:" not in json.dumps(templates.trust.resources("AWS::IAM::Policy"))


def test_another_ca_can_be_added_to_an_adopted_one() -> None:
    cas = [{"name": name, "commonName": "CA", "organization": "", "validityYears": 20} for name in ("2026", "2036")]
    template = trust("kms", adopt=ADOPT["kms"], certificateAuthorities=cas)
    for kind in ("AWS::KMS::Key", "AWS::IoT::CACertificate"):
        ((name, _),) = template.resources(kind).items()
        assert "2036" in name


def test_an_adopted_ca_elsewhere_meets_devices_at_their_first_connection() -> None:
    templates = synthesize(issuer="external", adopt=ADOPT["external"])
    rules = templates.enrollment.resources("AWS::IoT::TopicRule").items()
    (rule,) = (rule for name, rule in rules if name.startswith("FirstConnection"))
    identifier = ADOPT["external"]["externalCertificateAuthority"]
    assert f"$aws/events/certificates/registered/{identifier}" in json.dumps(rule)


def test_topics_reach_an_adopted_policy_through_a_resource_that_keeps_its_document() -> None:
    topics = {"publish": ["plant/{device}/up"], "subscribe": []}
    (resource,) = trust("aws", adopt=ADOPT["aws"], topics=topics).resources("Custom::AdoptedIotPolicy").values()
    assert resource["Properties"]["PolicyName"] == "old-policy"
    document = json.dumps(resource["Properties"]["PolicyDocument"])
    assert ":topic/plant/${iot:Connection.Thing.ThingName}/up" in document
    assert "devices/" not in document


def test_no_such_resource_without_an_adopted_policy() -> None:
    assert not trust("aws", adopt={"ledgerTable": "old-ledger"}).resources("Custom::AdoptedIotPolicy")


def test_ledger_and_policy_of_every_release_have_the_names_that_the_command_looks_for() -> None:
    """CloudFormation makes a name of the stack's and the logical id: ``fleet.left_behind`` knows their beginnings."""
    first = json.loads(file_of(FIRST_RELEASE, "tests/template/snapshots/kms-trust.json"))["Resources"]
    for resources in (first, trust("kms").resources()):
        names = {resource["Type"]: name for name, resource in resources.items()}
        assert names["AWS::DynamoDB::Table"].startswith("Ledger")
        assert is_fleets_own(f"zymkey-Trust-{names['AWS::IoT::Policy']}-A1B2")
