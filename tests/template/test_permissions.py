"""What each role may do, action by action. The emulator enforces IAM, so no permission can be missing either."""

from collections.abc import Iterator
from typing import Any

import pytest

from pki.issuers import ISSUERS
from tests.template.service_authorization import fits, resource_types
from tests.template.shown import shown
from tests.template.synthesis import ADOPT, Template, synthesize

IOT = "arn:<Partition>:iot:<Region>:<AccountId>"
WRITE_LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
ACTIVATE = {
    ("iot:AttachPolicy", f"{IOT}:cert/*"),
    ("iot:AttachThingPrincipal", f"{IOT}:cert/*"),
    ("iot:AttachThingPrincipal", f"{IOT}:thing/*"),
    *((f"iot:{action}", f"{IOT}:thing/*") for action in ("CreateThing", "DescribeThing", "ListThingPrincipals")),
    ("iot:UpdateThing", f"{IOT}:thing/*"),
    ("iot:DescribeCertificate", f"{IOT}:cert/*"),
    ("iot:UpdateCertificate", f"{IOT}:cert/*"),
}
USE_LEDGER = {(f"dynamodb:{action}", "<table>") for action in ("GetItem", "PutItem", "Query", "UpdateItem")}
ENROLL = {
    "kms": {("iot:RegisterCertificate", "*"), ("kms:Sign", "<key>")},
    "aws": {("iot:CreateCertificateFromCsr", "*")},
    "external": {("iot:RegisterCertificate", "*")},
}


# What limits people: tests/template/test_people.py tries them.
CONDITIONS = ("ForAllValues:StringLike", "Null", "StringEquals")


def allowed(statements: Iterator[dict[str, Any]], *, conditions: tuple[str, ...] = ()) -> set[tuple[str, str]]:
    """Pairs of action and resource; ``conditions`` are operators that may limit them further.

    The one denial is another test's: ``test_signing``.
    """
    pairs = set()
    for statement in statements:
        if statement["Effect"] == "Deny":
            assert statement["Action"] == "kms:Sign"
            continue
        assert statement["Effect"] == "Allow"
        assert set(statement.get("Condition", {})) <= set(conditions)
        actions, resources = (
            value if isinstance(value, list) else [value] for value in (statement["Action"], statement["Resource"])
        )
        pairs |= {(action, shown(resource)) for action in actions for resource in resources}
    return pairs


def of_function(template: Template, handler: str) -> set[tuple[str, str]]:
    """What the function may do beside writing its own log."""
    return _of(template, *template.function(handler))


def _of(template: Template, name: str, function: dict[str, Any]) -> set[tuple[str, str]]:
    pairs = allowed(template.statements_of_role(function["Role"]["Fn::GetAtt"][0]), conditions=CONDITIONS)
    log_pairs = {pair for pair in pairs if pair[0].startswith("logs:")}
    assert log_pairs == {(action, "<logs>") for action in WRITE_LOG}, name
    return pairs - log_pairs


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_enroll_function_may_do_what_its_issuer_calls(issuer: str) -> None:
    assert of_function(synthesize(issuer=issuer).enrollment, "functions.handlers.http_api.handler") == (
        USE_LEDGER | ACTIVATE | {("iot:DescribeEndpoint", "*")} | ENROLL[issuer]
    )


def test_the_first_connection_function_may_neither_sign_nor_register() -> None:
    template = synthesize(issuer="external").enrollment
    may = of_function(template, "functions.handlers.first_connection.handler")
    assert may == ACTIVATE | {("dynamodb:DeleteItem", "<table>")} | USE_LEDGER


def test_the_first_connection_function_may_delete_requests_for_approval_alone() -> None:
    template = synthesize(issuer="external").enrollment
    _, function = template.function("functions.handlers.first_connection.handler")
    (deletion,) = (
        statement
        for statement in template.statements_of_role(function["Role"]["Fn::GetAtt"][0])
        if statement["Action"] == "dynamodb:DeleteItem"
    )
    # Without ``Null``: if AWS does not say the key of a write in a transaction, the function is not locked out.
    assert deletion["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["requests"]}}


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_sweep_may_switch_certificates_off_and_write_it_down(issuer: str) -> None:
    assert of_function(synthesize(issuer=issuer).enrollment, "functions.handlers.superseded.handler") == {
        *(
            (f"dynamodb:{action}", "<table>")
            for action in ("BatchGetItem", "GetItem", "PutItem", "Query", "UpdateItem")
        ),
        ("dynamodb:Query", "<table>/index/listing"),
        ("iot:UpdateCertificate", f"{IOT}:cert/*"),
    }


@pytest.mark.parametrize("issuer", ISSUERS)
def test_what_sees_a_new_certificate_may_switch_old_ones_off_and_write_it_down(issuer: str) -> None:
    assert of_function(synthesize(issuer=issuer).enrollment, "functions.handlers.seen.handler") == {
        *((f"dynamodb:{action}", "<table>") for action in ("GetItem", "PutItem", "Query", "UpdateItem")),
        ("iot:UpdateCertificate", f"{IOT}:cert/*"),
    }


AUDITED_CERTIFICATES = (
    *("DeleteCertificate", "DescribeCertificate", "DetachPolicy", "DetachThingPrincipal"),
    "ListPrincipalThings",
)


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_audit_may_look_and_delete_and_neither_switch_nor_sign(issuer: str) -> None:
    assert of_function(synthesize(issuer=issuer).enrollment, "functions.handlers.audit.handler") == {
        *((f"dynamodb:{action}", "<table>") for action in ("GetItem", "Query", "Scan")),
        *((f"dynamodb:{action}", "<table>") for action in ("ConditionCheckItem", "PutItem", "UpdateItem")),
        *((f"iot:{action}", f"{IOT}:cert/*") for action in AUDITED_CERTIFICATES),
        *((f"iot:{action}", "*") for action in ("ListAttachedPolicies", "ListCertificates")),
        *((f"iot:{action}", "*") for action in ("ListCertificatesByCA", "ListThings")),
        *((f"iot:{action}", f"{IOT}:policy/<iot policy>") for action in ("GetPolicy", "ListTargetsForPolicy")),
        ("iot:DescribeCACertificate", f"{IOT}:cacert/*"),
        ("iot:DescribeThing", f"{IOT}:thing/*"),
    }


def test_the_audit_reads_the_groups_of_the_settings_and_no_others() -> None:
    template = synthesize(things={"groups": ["pis"], "allowedGroups": ["lab"]}).enrollment
    may = of_function(template, "functions.handlers.audit.handler")
    assert {resource for action, resource in may if action == "iot:ListThingsInThingGroup"} == {
        f"{IOT}:thinggroup/pis",
        f"{IOT}:thinggroup/lab",
    }
    assert ("iot:ListThingGroupsForThing", f"{IOT}:thing/*") in may


def test_the_enroll_function_may_sign_with_the_newest_ca_alone() -> None:
    names = ("2026", "2036")
    cas = [{"name": name, "commonName": "CA", "organization": "", "validityYears": 20} for name in names]
    template = synthesize(certificateAuthorities=cas).enrollment
    _, function = template.function("functions.handlers.http_api.handler")
    (sign,) = (
        statement
        for statement in template.statements_of_role(function["Role"]["Fn::GetAtt"][0])
        if statement["Action"] == "kms:Sign"
    )
    assert "CertificateAuthority2036Key" in sign["Resource"]["Fn::GetStackOutput"]["OutputName"]


def test_what_makes_the_ca_may_sign_remember_and_ask_for_the_registration_code() -> None:
    assert of_function(synthesize().trust, "functions.handlers.certificate_authority.handler") == {
        ("dynamodb:GetItem", "<table>"),
        ("dynamodb:PutItem", "<table>"),
        ("iot:GetRegistrationCode", "*"),
        ("kms:GetPublicKey", "<key>"),
        ("kms:Sign", "<key>"),
    }


def test_what_keeps_an_adopted_policy_may_change_that_one_policy() -> None:
    actions = ("CreatePolicyVersion", "DeletePolicyVersion", "GetPolicy", "ListPolicyVersions")
    for issuer in ISSUERS:
        template = synthesize(issuer=issuer, adopt=ADOPT[issuer]).trust
        assert of_function(template, "functions.handlers.adopted_policy.handler") == {
            (f"iot:{action}", f"{IOT}:policy/old-policy") for action in actions
        }
        assert all(fits(f"iot:{action}", f"{IOT}:policy/old-policy") for action in actions)


@pytest.mark.parametrize("issuer", ["kms", "external"])
def test_what_asks_for_the_status_of_a_ca_may_do_nothing_else(issuer: str) -> None:
    asked = {("iot:DescribeCACertificate", f"{IOT}:cacert/*")}
    assert of_function(synthesize(issuer=issuer).trust, "functions.handlers.declared_status.handler") == asked
    assert fits("iot:DescribeCACertificate", f"{IOT}:cacert/*")


def test_the_provider_framework_may_call_the_one_handler() -> None:
    template = synthesize().trust
    frameworks = {
        name: each["Properties"]
        for name, each in template.resources("AWS::Lambda::Function").items()
        if each["Properties"]["Handler"] == "framework.onEvent"
    }
    assert len(frameworks) == 2
    for name, function in frameworks.items():
        assert _of(template, name, function) == {
            ("lambda:GetFunction", "<handler>"),
            ("lambda:InvokeFunction", "<handler>"),
            ("lambda:InvokeFunction", "<handler>:*"),
        }


@pytest.mark.parametrize("issuer", ISSUERS)
def test_no_role_has_a_managed_policy_or_can_be_taken_by_anything_but_lambda(issuer: str) -> None:
    for template in (synthesize(issuer=issuer).trust, synthesize(issuer=issuer).enrollment):
        for role in template.resources("AWS::IAM::Role").values():
            assert set(role["Properties"]) - {"Tags"} == {"AssumeRolePolicyDocument"}
            (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
            assert statement["Action"] == "sts:AssumeRole"


def every_statement(issuer: str) -> Iterator[dict[str, Any]]:
    for template in (synthesize(issuer=issuer).trust, synthesize(issuer=issuer).enrollment):
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for policy in template.resources(kind).values():
                yield from policy["Properties"]["PolicyDocument"]["Statement"]


@pytest.mark.parametrize("issuer", ISSUERS)
def test_everything_is_allowed_only_where_aws_allows_nothing_narrower(issuer: str) -> None:
    for action, resource in allowed(every_statement(issuer), conditions=CONDITIONS):
        assert "*" not in action
        if resource == "*":
            assert resource_types(action) == set(), f"{action} can be limited to resources"


@pytest.mark.parametrize("issuer", ISSUERS)
def test_an_iot_permission_names_a_kind_of_resource_that_its_action_knows(issuer: str) -> None:
    """A permission on the wrong kind of resource is one that the function does not have."""
    pairs = {
        pair
        for pair in allowed(every_statement(issuer), conditions=CONDITIONS)
        if pair[0].startswith("iot:") and pair[1] != "*"
    }
    by_action: dict[str, list[str]] = {}
    for action, resource in pairs:
        by_action.setdefault(action, []).append(resource)
    assert by_action
    for action, resources in by_action.items():
        assert any(fits(action, resource) for resource in resources), action


READ_LEDGER = {("dynamodb:GetItem", "<table>"), ("dynamodb:Query", "<table>")} | {
    ("dynamodb:Query", "<table>/index/listing"),
    (
        "cloudformation:DescribeStacks",
        "arn:<Partition>:cloudformation:<Region>:<AccountId>:stack/zymkey-Enrollment/*",
    ),
}
VERIFICATION = "thing/zymkey-fleet-verify-*"
READ = READ_LEDGER | {
    # An audit reads all of the ledger; a list by group, by attribute, or by when a device was last connected.
    ("dynamodb:Scan", "<table>"),
    ("iot:ListThingsInThingGroup", f"{IOT}:thinggroup/*"),
    ("iot:ListThings", "*"),
    ("iot:SearchIndex", f"{IOT}:index/AWS_Things"),
    *((f"iot:{action}", "*") for action in ("GetRegistrationCode", "ListAttachedPolicies")),
    *((f"iot:{action}", "*") for action in ("ListCACertificates", "ListCertificates")),
    *((f"iot:{action}", f"{IOT}:cert/*") for action in ("DescribeCertificate", "ListPrincipalThings")),
    *((f"iot:{action}", f"{IOT}:cacert/*") for action in ("DescribeCACertificate", "ListTagsForResource")),
    # An audit compares policy, CAs and things with what is declared.
    *((f"iot:{action}", f"{IOT}:policy/<iot policy>") for action in ("GetPolicy", "ListTargetsForPolicy")),
    *((f"iot:{action}", f"{IOT}:thing/*") for action in ("DescribeThing", "ListThingGroupsForThing")),
    ("iot:ListCertificatesByCA", "*"),
    ("kms:DescribeKey", "arn:<Partition>:kms:<Region>:<AccountId>:key/*"),
}
REMOVE = {
    *((f"iot:{action}", f"{IOT}:cert/*") for action in ("DeleteCertificate", "DetachPolicy", "DetachThingPrincipal")),
    ("iot:UpdateCertificate", f"{IOT}:cert/*"),
}
REMOVE_VERIFICATION = {(f"iot:{action}", f"{IOT}:{VERIFICATION}") for action in ("DeleteThing", "DetachThingPrincipal")}
REMOVE_THINGS = {
    *((f"iot:{action}", f"{IOT}:thing/*") for action in ("DeleteThing", "DeleteThingShadow", "DetachThingPrincipal")),
    *((f"iot:{action}", f"{IOT}:thing/*") for action in ("ListNamedShadowsForThing", "ListThingPrincipals")),
}
WRITE = {(f"dynamodb:{action}", "<table>") for action in ("DeleteItem", "PutItem", "UpdateItem")}


@pytest.mark.parametrize(
    ("policy", "may"),
    [
        ("PeopleReader", READ),
        (
            "OperatorPolicy",
            READ
            | REMOVE
            | WRITE
            | {("dynamodb:ConditionCheckItem", "<table>")}
            | {("iot:UpdateCACertificate", f"{IOT}:cacert/*")}
            | REMOVE_THINGS
            | {("iot:UpdateThing", f"{IOT}:thing/*"), ("iot:Publish", f"{IOT}:topic/zymkey/zymkey/renew/*")},
        ),
        (
            "PeopleVerifier",
            READ_LEDGER
            | REMOVE
            | REMOVE_VERIFICATION
            | WRITE
            | {("iot:DescribeCertificate", f"{IOT}:cert/*"), ("iot:ListAttachedPolicies", "*")}
            | {("iot:DescribeCACertificate", f"{IOT}:cacert/*")},
        ),
    ],
)
def test_people_may_do_what_the_commands_of_their_role_do(policy: str, may: set[tuple[str, str]]) -> None:
    (properties,) = (
        resource["Properties"]
        for name, resource in synthesize().trust.resources("AWS::IAM::ManagedPolicy").items()
        if name.startswith(policy)
    )
    assert allowed(iter(properties["PolicyDocument"]["Statement"]), conditions=CONDITIONS) == may


def test_the_settings_groups_and_billing_group_are_what_a_function_may_use_and_no_other() -> None:
    things = {"groups": ["plant"], "allowedGroups": ["hall-7"], "billingGroup": "research"}
    for issuer, handler in (("kms", "http_api"), ("external", "first_connection")):
        template = synthesize(issuer=issuer, things=things).enrollment
        may = of_function(template, f"functions.handlers.{handler}.handler")
        assert {pair for pair in may if "group" in pair[0].lower() or "group" in pair[1]} == {
            ("iot:AddThingToThingGroup", f"{IOT}:thing/*"),
            ("iot:AddThingToThingGroup", f"{IOT}:thinggroup/plant"),
            ("iot:AddThingToThingGroup", f"{IOT}:thinggroup/hall-7"),
            ("iot:CreateThing", f"{IOT}:billinggroup/research"),
        }
