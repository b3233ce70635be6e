"""Who may sign with a CA's key: the templates' policies, judged as IAM judges them."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from ministack.core.iam_evaluator import (
    EvalContext,
    combine_resource_policy,
    evaluate,
    parse_policy_document,
)

from pki.kms_key import KmsPrivateKey
from tests.template.synthesis import Templates, synthesize

ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1"
TAG = "zymkey-fleet-signs"
SENT = {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "DIGEST"}
MAY_DO_ALL = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
RANDOM = "UjecjFhpdr1d"


def filled_in(value: Any) -> Any:
    """A part of a template with CloudFormation's functions done; every key is the one key."""
    match value:
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Ref": "AWS::AccountId"}:
            return ACCOUNT
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::Join": [separator, parts]}:
            return separator.join(filled_in(part) for part in parts)
        case {"Fn::GetAtt": [name, "Arn"]} | {"Fn::GetStackOutput": {"OutputName": name}}:
            return KEY if "Key" in name else f"<{name}>"
        case dict():
            return {name: filled_in(each) for name, each in value.items()}
        case list():
            return [filled_in(each) for each in value]
        case _:
            return value


def key_policy(templates: Templates) -> Any:
    return filled_in(templates.trust.only("AWS::KMS::Key")["KeyPolicy"])


def decision(
    templates: Templates,
    *,
    role: str,
    tags: dict[str, str] | None = None,
    identity: Any = MAY_DO_ALL,
    action: str = "kms:Sign",
    keys: dict[str, str] | None = None,
) -> str:
    """Allow, or one of two kinds of no."""
    context = EvalContext(
        principal_arn=role if ":" in role else f"arn:aws:iam::{ACCOUNT}:role/{role}",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=KEY,
        region="eu-central-1",
        service_context={name.lower(): value for name, value in (SENT if keys is None else keys).items()},
        principal_keys={f"aws:principaltag/{name}": value for name, value in (tags or {}).items()},
    )
    by_identity = evaluate(context, [parse_policy_document(identity)])
    found: str = combine_resource_policy(by_identity, context, key_policy(templates), ACCOUNT, required=True).decision
    return found


def tags_of(role: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in role["Properties"].get("Tags", [])}


def role_of(templates: Templates, stack: str, handler: str) -> tuple[str, dict[str, str], Any]:
    """Logical id, tags, and what its policies allow and deny."""
    template = getattr(templates, stack)
    _, function = template.function(handler)
    role = function["Role"]["Fn::GetAtt"][0]
    statements = [filled_in(statement) for statement in template.statements_of_role(role)]
    return role, tags_of(template.resources()[role]), {"Statement": statements}


def test_the_enroll_function_signs_and_the_key_is_of_the_kind_that_its_certificates_need() -> None:
    templates = synthesize()
    _, tags, identity = role_of(templates, "enrollment", "functions.handlers.http_api.handler")
    assert tags[TAG] == "zymkey"
    assert decision(templates, role="whatever-its-name", tags=tags, identity=identity) == "Allow"
    key = templates.trust.only("AWS::KMS::Key")
    assert (key["KeySpec"], key["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")


def test_nobody_else_signs_not_even_who_may_do_everything() -> None:
    templates = synthesize()
    for role in ("Admin", f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:user/alice"):
        assert decision(templates, role=role) == "Deny"
    assert decision(templates, role="another-fleet-s", tags={TAG: "other"}) == "Deny"
    assert decision(templates, role="zymkey-Enrollment-SupersededSweepExecutionRole-1") == "Deny"
    # The account's administrators keep the key: what locks them out nobody can repair.
    for action in ("kms:PutKeyPolicy", "kms:DescribeKey", "kms:DisableKey"):
        assert decision(templates, role="Admin", action=action) == "Allow"


def test_the_tag_alone_permits_nothing() -> None:
    nothing: dict[str, Any] = {"Statement": []}
    assert decision(synthesize(), role="some", tags={TAG: "zymkey"}, identity=nothing) != "Allow"


@pytest.mark.parametrize("issuer", ["kms", "aws", "external"])
def test_no_role_has_the_tag_but_the_two_that_sign(issuer: str) -> None:
    templates = synthesize(issuer=issuer)
    signers = {
        name
        for template in (templates.trust, templates.enrollment)
        for name, role in template.resources("AWS::IAM::Role").items()
        if TAG in tags_of(role)
    }
    expected = ("EnrollExecutionRole", "CertificateAuthorityMakerHandlerExecutionRole") if issuer == "kms" else ()
    assert len(signers) == len(expected)
    assert all(any(name.startswith(each) for name in signers) for each in expected)


def test_what_is_signed_is_a_sha_256_digest_as_the_functions_send_it() -> None:
    sent: dict[str, Any] = {}

    class Client:
        def sign(self, **request: Any) -> dict[str, bytes]:
            sent.update(request)
            return {"Signature": b""}

    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    KmsPrivateKey(client=Client(), key_id=KEY, public_key=public).sign(b"", ec.ECDSA(hashes.SHA256()))  # type: ignore[arg-type]
    assert {f"kms:{name}": sent[name] for name in ("SigningAlgorithm", "MessageType")} == SENT

    templates, tags = synthesize(), {TAG: "zymkey"}
    assert decision(templates, role="enroll", tags=tags) == "Allow"
    for other in ({"kms:MessageType": "RAW"}, {"kms:SigningAlgorithm": "ECDSA_SHA_384"}):
        assert decision(templates, role="enroll", tags=tags, keys=SENT | other) == "Deny"
    # What KMS does not say about a request locks nobody out.
    assert decision(templates, role="enroll", tags=tags, keys={}) == "Allow"


@pytest.mark.parametrize("cut", [24, 25])
@pytest.mark.parametrize("fleet", ["z", "zymkey", "a-fleet-of-13", "a-fleet-14-let", "f" * 31])
def test_the_enroll_function_of_the_first_release_signs_while_its_role_has_no_tag_yet(fleet: str, cut: int) -> None:
    """Trust is updated first. CloudFormation cuts names that are longer than 64 characters."""
    templates = synthesize(fleet=fleet)
    role, _, identity = role_of(templates, "enrollment", "functions.handlers.http_api.handler")
    stack = f"{fleet}-Enrollment"
    name = f"{stack}-{role}-{RANDOM}"
    if len(name) > 64:
        name = f"{stack[:cut]}-{role[:cut]}-{RANDOM}"
    assert decision(templates, role=name, identity=identity) == "Allow"
    assert decision(templates, role=f"x{name}", identity=identity) == "Deny"


def test_the_maker_signs_until_its_ca_exists_and_never_again() -> None:
    templates = synthesize()
    role, tags, everything = role_of(templates, "trust", "functions.handlers.certificate_authority.handler")
    policies = {
        name: resource
        for name, resource in templates.trust.resources("AWS::IAM::Policy").items()
        if {"Ref": role} in resource["Properties"]["Roles"]
    }
    ((ca, _),) = templates.trust.resources("Custom::CertificateAuthority").items()
    after = {name for name, policy in policies.items() if ca in policy.get("DependsOn", [])}
    before = {
        "Statement": [
            filled_in(statement)
            for name in policies.keys() - after
            for statement in policies[name]["Properties"]["PolicyDocument"]["Statement"]
        ]
    }
    assert decision(templates, role="maker", tags=tags, identity=before) == "Allow"
    assert decision(templates, role="maker", tags=tags, identity=everything) == "Deny"


def test_the_maker_of_a_second_ca_signs_with_its_key_and_no_more_with_the_first_ones() -> None:
    """Each denial names one key, and is made after the CA of that key."""
    authority = {"commonName": "CA", "organization": "", "validityYears": 9}
    cas = [authority | {"name": name} for name in ("one", "two")]
    template = synthesize(certificateAuthorities=cas).trust
    for name in ("one", "two"):
        (denial,) = (
            policy
            for logical_id, policy in template.resources("AWS::IAM::Policy").items()
            if logical_id.startswith(f"CertificateAuthority{name}")
        )
        (statement,) = denial["Properties"]["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Deny", "kms:Sign")
        assert statement["Resource"]["Fn::GetAtt"][0].startswith(f"CertificateAuthority{name}Key")
        (after,) = denial["DependsOn"]
        assert after.startswith(f"CertificateAuthority{name}Certificate")


def matches(pattern: Any, event: Any) -> bool:
    """EventBridge's rule: each field has one of the values, and an array any element that fits."""
    if isinstance(pattern, list):
        return event in pattern
    if isinstance(event, list):
        return any(matches(pattern, each) for each in event)
    return all(name in event and matches(each, event[name]) for name, each in pattern.items())


def watched(templates: Templates) -> tuple[Any, Any]:
    """The rule's pattern and the alarm, of the one watch over the keys."""
    ((name, rule),) = templates.trust.resources("AWS::Events::Rule").items()
    (alarm,) = (
        each["Properties"]
        for each in templates.trust.resources("AWS::CloudWatch::Alarm").values()
        if each["Properties"]["Namespace"] == "AWS/Events"
    )
    assert alarm["Dimensions"] == [{"Name": "RuleName", "Value": {"Ref": name}}]
    assert rule["Properties"].get("State", "ENABLED") == "ENABLED"
    return rule["Properties"]["EventPattern"], alarm


def cloudtrail_event(call: str, key: str = KEY) -> dict[str, Any]:
    """As EventBridge has it (AWS KMS Developer Guide, log entries of ScheduleKeyDeletion and DisableKey)."""
    detail = {
        "eventSource": "kms.amazonaws.com",
        "eventName": call,
        "requestParameters": {"keyId": key},
        "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key}],
    }
    return {"source": "aws.kms", "detail-type": "AWS API Call via CloudTrail", "detail": detail}


def test_an_alarm_is_raised_when_the_keys_end_or_another_policy_is_near() -> None:
    pattern, alarm = watched(synthesize())
    for call in ("ScheduleKeyDeletion", "DisableKey", "PutKeyPolicy"):
        assert matches(filled_in(pattern), cloudtrail_event(call))
    assert not matches(filled_in(pattern), cloudtrail_event("Sign"))
    assert not matches(filled_in(pattern), cloudtrail_event("DisableKey", f"{KEY}2"))
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("TriggeredRules", "Sum", 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_the_watching_rule_has_a_target_that_takes_its_events_and_nobody_elses() -> None:
    """EventBridge counts a rule that has run; whether a rule without a target runs, no document says."""
    trust = synthesize().trust
    ((rule_name, rule),) = trust.resources("AWS::Events::Rule").items()
    ((queue, properties),) = trust.resources("AWS::SQS::Queue").items()
    assert rule["Properties"]["Targets"] == [{"Id": "Queue", "Arn": {"Fn::GetAtt": [queue, "Arn"]}}]
    assert properties["Properties"]["MessageRetentionPeriod"] == 60
    policy = trust.only("AWS::SQS::QueuePolicy")["PolicyDocument"]
    (allow,) = (each for each in policy["Statement"] if each["Effect"] == "Allow")
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Action"] == "sqs:SendMessage"
    assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [rule_name, "Arn"]}}}


def test_the_key_of_each_ca_is_watched_until_the_ca_is_retired() -> None:
    """The deletion of a retired CA's key is what its operator is told to do in the end."""
    authority = {"commonName": "CA", "organization": "", "validityYears": 9}
    for retired in (False, True):
        cas = [authority | {"name": "one", "retired": retired}, authority | {"name": "two"}]
        pattern, _ = watched(synthesize(certificateAuthorities=cas))
        keys = [arn["Fn::GetAtt"][0] for arn in pattern["detail"]["resources"]["ARN"]]
        assert [name[len("CertificateAuthority") :].partition("Key")[0] for name in keys] == (
            ["two"] if retired else ["one", "two"]
        )


def test_where_the_ca_is_not_in_kms_there_is_no_key_to_watch() -> None:
    for issuer in ("aws", "external"):
        assert synthesize(issuer=issuer).trust.resources("AWS::Events::Rule") == {}
