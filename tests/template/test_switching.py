"""Changing a live deployment: what becomes of each resource, above all of those that devices depend on."""

from itertools import permutations
from typing import Any

import pytest

from pki.issuers import ISSUERS
from tests.template.replacement import replacing_properties
from tests.template.synthesis import EXTERNAL_CA, Template, synthesize

MAKES_CAS = {
    *("AWS::IAM::Policy", "AWS::IAM::Role", "AWS::Lambda::Function", "AWS::Logs::LogGroup"),
}
WATCHES_KEYS = {"AWS::Events::Rule", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::CloudWatch::Alarm"}


def changes(old: Template, new: Template) -> tuple[set[str], set[str], set[str]]:
    """Logical ids that are removed, added and changed."""
    before, after = old.resources(), new.resources()
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    return before.keys() - after.keys(), after.keys() - before.keys(), changed


def types(template: Template, names: set[str]) -> set[str]:
    return {template.resources()[name]["Type"] for name in names}


CA_TYPES = {"AWS::KMS::Key", "Custom::CertificateAuthority", "AWS::IoT::CACertificate"}
REGISTERS = {"AWS::IoT::CACertificate", "Custom::DeclaredStatus"}
OF_ISSUER = {"kms": CA_TYPES | REGISTERS | MAKES_CAS | WATCHES_KEYS, "aws": set(), "external": REGISTERS}
# What the resource before a registration calls; only Amazon's issuer registers no CA.
OF_PAIR = {"aws": {"external": MAKES_CAS}, "external": {"aws": MAKES_CAS}}


@pytest.mark.parametrize(("before", "after"), list(permutations(ISSUERS, 2)))
def test_another_issuer_takes_its_cas_place_and_changes_nothing_that_devices_use(before: str, after: str) -> None:
    old, new = synthesize(issuer=before).trust, synthesize(issuer=after).trust
    removed, added, changed = changes(old, new)

    called: set[str] = OF_PAIR.get(before, {}).get(after, set())
    assert types(old, removed) == OF_ISSUER[before] | (called if before == "external" else set())
    assert types(new, added) == OF_ISSUER[after] | (called if after == "external" else set())
    assert changed == set()
    for name in removed:
        resource = old.resources()[name]
        if resource["Type"] in CA_TYPES:
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate"


@pytest.mark.parametrize(("before", "after"), list(permutations(ISSUERS, 2)))
def test_another_issuer_keeps_the_apis_address(before: str, after: str) -> None:
    old, new = synthesize(issuer=before).enrollment, synthesize(issuer=after).enrollment
    assert old.resources("AWS::ApiGatewayV2::Api") == new.resources("AWS::ApiGatewayV2::Api")
    assert old.body["Outputs"]["EnrollmentUrl"] == new.body["Outputs"]["EnrollmentUrl"]


@pytest.mark.parametrize("issuer", ISSUERS)
def test_nothing_is_exported_that_could_hold_an_update_up(issuer: str) -> None:
    """CloudFormation refuses to change an export in use, which would make Trust wait for Enrollment without end."""
    templates = synthesize(issuer=issuer)
    assert all("Export" not in output for output in templates.trust.body["Outputs"].values())
    assert "Fn::ImportValue" not in str(templates.enrollment.body)


@pytest.mark.parametrize(
    ("issuer", "setting"),
    [
        ("kms", {"topics": {"publish": ["other/{device}/*"], "subscribe": []}}),
        ("external", {"firstConnection": "off"}),
        ("kms", {"mqttWithoutThing": "deny"}),
        ("kms", {"logRetentionDays": 7}),
        ("kms", {"architecture": "x86_64"}),
        ("external", {"certificateValidityDays": 30, "certificateSubject": {"O": "Acme"}, "uninvited": "approve"}),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value,
)
def test_no_setting_but_the_issuer_and_the_ca_replaces_what_devices_use(issuer: str, setting: dict[str, Any]) -> None:
    old, new = synthesize(issuer=issuer).trust, synthesize(issuer=issuer, **setting).trust
    removed, added, changed = changes(old, new)
    assert removed == added == set()
    for name in changed:
        resource, other = old.resources()[name], new.resources()[name]
        assert resource["Type"] != "Custom::CertificateAuthority"
        for replacing in replacing_properties(resource["Type"]):
            assert resource["Properties"].get(replacing) == other["Properties"].get(replacing), (name, replacing)


@pytest.mark.parametrize("after", ["kms", "aws"])
def test_a_ca_elsewhere_that_the_settings_still_name_stays_registered_for_coming_back(after: str) -> None:
    """AWS IoT registers a CA only once, so the way back must not register it again."""
    old = synthesize(issuer="external").trust
    new = synthesize(issuer=after, externalCertificateAuthority=EXTERNAL_CA).trust
    ((name, registration),) = old.resources("AWS::IoT::CACertificate").items()
    assert new.resources()[name]["Properties"] == registration["Properties"] | {"AutoRegistrationStatus": "DISABLE"}
    assert changes(old, new)[0] == set()


def test_another_ca_elsewhere_keeps_the_old_one_registered() -> None:
    resource = synthesize(issuer="external").trust.resources("AWS::IoT::CACertificate").values()
    assert [each["UpdateReplacePolicy"] for each in resource] == ["Retain"]
