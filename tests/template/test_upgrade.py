"""An update of a deployment of the first release: what CloudFormation would replace or delete, by its own schemas."""

import json

import pytest

from pki.issuers import ISSUERS
from tests.support.release import FIRST_RELEASE, file_of
from tests.template.replacement import replacing_properties
from tests.template.snapshots import normalized
from tests.template.synthesis import Template, synthesize

# CloudFormation would replace these, and nothing is lost: a version of the API's deployment, a permission to invoke.
REPLACEABLE = {"AWS::ApiGatewayV2::Deployment", "AWS::Lambda::Permission"}
# What holds state, or is known to devices and people by its id, with each issuer.
STATEFUL: dict[str, set[str]] = {
    "kms": {"AWS::KMS::Key", "AWS::IoT::CACertificate", "Custom::CertificateAuthority"},
    "external": {"AWS::IoT::CACertificate"},
    "aws": set(),
}
STATEFUL_WITH_EACH = {"AWS::DynamoDB::Table", "AWS::IoT::Policy", "AWS::IAM::ManagedPolicy"}


@pytest.mark.parametrize("issuer", ISSUERS)
def test_what_holds_state_is_among_what_is_compared(issuer: str) -> None:
    for stack, kinds in (("trust", STATEFUL_WITH_EACH | STATEFUL[issuer]), ("enrollment", {"AWS::ApiGatewayV2::Api"})):
        old = json.loads(file_of(FIRST_RELEASE, f"tests/template/snapshots/{issuer}-{stack}.json"))
        assert kinds <= {resource["Type"] for resource in old["Resources"].values()}


@pytest.mark.parametrize("stack", ["trust", "enrollment"])
@pytest.mark.parametrize("issuer", ISSUERS)
def test_an_update_of_the_first_release_replaces_and_deletes_nothing(issuer: str, stack: str) -> None:
    old = json.loads(file_of(FIRST_RELEASE, f"tests/template/snapshots/{issuer}-{stack}.json"))
    template: Template = getattr(synthesize(issuer=issuer), stack)
    new = json.loads(normalized(template))

    for name, resource in old["Resources"].items():
        if resource["Type"] in REPLACEABLE:
            continue
        assert name in new["Resources"], f"{name} ({resource['Type']}) would be deleted"
        other = new["Resources"][name]
        assert other["Type"] == resource["Type"], name
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            assert other.get(policy) == resource.get(policy), (name, policy)
        if resource["Type"].startswith("Custom::"):
            # Its function is called when a property changes; what it then returns must stay the same CA.
            assert other["Properties"] == resource["Properties"], name
            continue
        for replacing in replacing_properties(resource["Type"]):
            before, after = resource["Properties"].get(replacing), other["Properties"].get(replacing)
            assert before == after, f"{name} ({resource['Type']}) would be replaced: {replacing} changes"


@pytest.mark.parametrize("stack", ["trust", "enrollment"])
@pytest.mark.parametrize("issuer", ISSUERS)
def test_every_output_of_the_first_release_is_still_there(issuer: str, stack: str) -> None:
    old = json.loads(file_of(FIRST_RELEASE, f"tests/template/snapshots/{issuer}-{stack}.json"))
    template: Template = getattr(synthesize(issuer=issuer), stack)
    assert old.get("Outputs", {}).keys() <= template.body.get("Outputs", {}).keys()
