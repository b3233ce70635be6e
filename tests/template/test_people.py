"""Which items of the ledger a person may write: the policies' conditions, judged for transactions as the ledger sends.

The emulator's own judgement of policies is asked here; when it serves a request, it knows nothing of the items' keys.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from fleet.smoke_test.device import PREFIX
from ledger import CertificateAuthority, Ledger, ThingProfile
from pki.issuers import ISSUERS
from tests.template.shown import shown
from tests.template.synthesis import Template, synthesize

OUTPUTS = ["ReaderPolicyArn", "OperatorPolicyArn", "VerifierPolicyArn"]
ACTION = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
KEY, CERTIFICATE = "SHA256:abc", "0" * 64

Transaction = list[tuple[str, str]]


class Recorder:
    """A DynamoDB client that has one enrolled device of each name, and keeps what it is asked to write."""

    _SORT_KEYS: ClassVar = {
        "device": ["device", f"certificate#{CERTIFICATE}"],
        "requests": [KEY],
        "signatures": ["signatures"],
    }

    def __init__(self, state: str) -> None:
        self._state = state
        self.transactions: list[Transaction] = []

    def get_item(self, *, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        pk, sk = Key["pk"]["S"], Key["sk"]["S"]
        return {"Item": item} if (item := self._item(pk, sk)) else {}

    def get_paginator(self, _: str) -> "Recorder":
        return self

    def paginate(self, *, ExpressionAttributeValues: dict[str, Any], **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
        pk = ExpressionAttributeValues.get(":pk", {}).get("S", "")
        sks = self._SORT_KEYS.get(pk.split("#")[0], [])
        wanted = ExpressionAttributeValues.get(":sk", {}).get("S", "")
        yield {"Items": [item for sk in sks if sk.startswith(wanted) and (item := self._item(pk, sk))]}

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> None:  # noqa: N803
        self.transactions.append([_action_and_key(each) for each in TransactItems])

    def _item(self, pk: str, sk: str) -> dict[str, Any] | None:
        kind, _, name = pk.partition("#")
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        number = {"N": "1"}
        if kind == "signatures":
            return key | {"made": number}
        if kind == "requests":
            times = {"requested_at": number, "expires_at": number}
            return key | times | {"fingerprint": {"S": KEY}, "suggested_name": {"S": ""}}
        if kind == "device" and sk == "device":
            state = {"state": {"S": self._state}, "certificate_id": {"S": CERTIFICATE}, "fingerprint": {"S": KEY}}
            return key | state | {"device": {"S": name}, "updated_at": number}
        if kind == "device":
            texts = {each: {"S": name} for each in ("device", "pem", "fingerprint", "serial", "issued_by")}
            numbers = dict.fromkeys(("not_before", "not_after", "updated_at"), number)
            state = "deactivated" if self._state == "blocked" else "active"
            return key | texts | numbers | {"certificate_id": {"S": CERTIFICATE}, "state": {"S": state}}
        return None


def _action_and_key(write: dict[str, Any]) -> tuple[str, str]:
    ((kind, request),) = write.items()
    key: str = (request.get("Key") or request["Item"])["pk"]["S"]
    return ACTION[kind], key


def transactions(call: Callable[[Ledger], object], *, state: str = "enrolled") -> list[Transaction]:
    """What a call of the ledger writes, each write as its action and its partition key."""
    recorder = Recorder(state)
    call(Ledger(client=recorder, table="ledger"))  # type: ignore[arg-type]
    assert recorder.transactions
    return recorder.transactions


def policy(output: str, issuer: str = "kms", **settings: Any) -> dict[str, Any]:
    """The document of the managed policy that an output names, with its resources as one string each."""
    both = synthesize(issuer=issuer, **settings)
    exported = both.enrollment.body["Outputs"][output]["Value"]["Fn::GetStackOutput"]["OutputName"]
    document = _referenced(both.trust, exported)["PolicyDocument"]
    statements = []
    for statement in document["Statement"]:
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        statements.append({**statement, "Resource": [shown(each) for each in resources]})
    return {**document, "Statement": statements}


def _referenced(trust: Template, exported: str) -> dict[str, Any]:
    properties: dict[str, Any] = trust.body["Resources"][trust.body["Outputs"][exported]["Value"]["Ref"]]["Properties"]
    return properties


def permits(output: str, action: str, *, resource: str = "<table>", **context: Any) -> bool:
    """Whether the policy allows it; ``context`` has condition keys as this test calls them."""
    keys = {"leading_keys": "dynamodb:leadingkeys", "fleet": "aws:resourcetag/zymkey-fleet"}
    asked = EvalContext(
        principal_arn="arn:aws:iam::123456789012:user/alice",
        principal_type="User",
        principal_account="123456789012",
        action=action,
        resource_arn=resource,
        region="us-east-1",
        service_context={keys[name]: value for name, value in context.items()},
    )
    return bool(evaluate(asked, [parse_policy_document(policy(output))]).decision == "Allow")


def permits_all(output: str, writes: list[Transaction]) -> bool:
    """Each write of a transaction is authorized as the action that it is, with its own key."""
    return all(permits(output, action, leading_keys=[key]) for each in writes for action, key in each)


def of_a_person(name: str) -> dict[str, list[Transaction]]:
    """What the operator's commands write, by the ledger's method."""
    by = {"by": "test", "now": 1}
    return {
        "set_profile": transactions(
            lambda ledger: ledger.set_profile(name, ThingProfile(groups=("plant",)), before=ThingProfile(), **by)
        ),
        "invite": transactions(lambda ledger: ledger.invite(name, token_hash="0", token_expires=2, **by)),
        "allow": transactions(lambda ledger: ledger.allow(name, fingerprint=KEY, approved=True, **by)),
        "block": transactions(lambda ledger: ledger.block(name, **by)),
        "unblock": transactions(lambda ledger: ledger.unblock(name, **by), state="blocked"),
        "remove": transactions(lambda ledger: ledger.remove(name, **by), state="blocked"),
        "replace_by_token": transactions(
            lambda ledger: ledger.replace_by_token(name, token_hash="0", token_expires=2, **by)
        ),
        "deleted": transactions(lambda ledger: ledger.deleted(name, CERTIFICATE, **by), state="blocked"),
        "erase": transactions(lambda ledger: ledger.erase(name)),
        "reject": transactions(lambda ledger: ledger.reject(KEY, now=1)),
        "reject_all": transactions(lambda ledger: ledger.reject_all([KEY], now=1)),
        "deactivated": transactions(lambda ledger: ledger.deactivated(name, CERTIFICATE, **by)),
        "reactivated": transactions(lambda ledger: ledger.reactivated(name, CERTIFICATE, **by)),
    }


def test_an_operator_may_use_the_groups_of_the_settings_and_no_other() -> None:
    iot = "arn:<Partition>:iot:<Region>:<AccountId>"
    things = {"groups": ["plant"], "allowedGroups": ["hall-7"]}
    with_groups, without = (policy("OperatorPolicyArn", things=each) for each in (things, None))
    added = [each for each in with_groups["Statement"] if each not in without["Statement"]]
    assert added == [
        {
            "Effect": "Allow",
            "Action": ["iot:AddThingToThingGroup", "iot:RemoveThingFromThingGroup"],
            "Resource": [f"{iot}:thing/*", f"{iot}:thinggroup/hall-7", f"{iot}:thinggroup/plant"],
        }
    ]
    outputs = synthesize(things=things).enrollment.body["Outputs"]
    assert json.loads(outputs["Things"]["Value"]) == things
    assert "Things" not in synthesize().enrollment.body["Outputs"]


def test_only_an_operator_may_tell_devices_something_and_only_that_they_shall_renew() -> None:
    iot = "arn:<Partition>:iot:<Region>:<AccountId>:topic"
    for output in OUTPUTS:
        renewal = permits(output, "iot:Publish", resource=f"{iot}/zymkey/zymkey/renew/pi-7")
        assert renewal is (output == "OperatorPolicyArn")
        for topic in ("zymkey/another/renew/pi-7", f"zymkey/zymkey/seen/{CERTIFICATE}", "devices/pi-7/commands"):
            assert not permits(output, "iot:Publish", resource=f"{iot}/{topic}")


def of_the_maker() -> list[Transaction]:
    authority = CertificateAuthority(
        name="2026", key_arn="arn:aws:kms:…", subject="", certificate_pem="", verification_pem="", validity_years=1
    )
    return transactions(lambda ledger: ledger.keep_certificate_authority(authority))


@pytest.mark.parametrize("method", of_a_person("pi-7"))
def test_an_operator_may_write_what_their_commands_write_and_a_reader_nothing(method: str) -> None:
    writes = of_a_person("pi-7")[method]
    assert permits_all("OperatorPolicyArn", writes)
    assert not permits_all("ReaderPolicyArn", writes)


# What ``verify`` writes: it invites, or allows, and it blocks and erases what it has made.
@pytest.mark.parametrize("method", ["invite", "block", "erase"])
def test_a_verifier_may_write_their_throw_away_devices_and_no_other(method: str) -> None:
    assert permits_all("VerifierPolicyArn", of_a_person(f"{PREFIX}1a2b3c4d")[method])
    assert not permits_all("VerifierPolicyArn", of_a_person("pi-7")[method])


def test_a_verifier_may_let_a_throw_away_device_in_by_its_key() -> None:
    def allow(name: str) -> list[Transaction]:
        return transactions(lambda ledger: ledger.allow(name, fingerprint=KEY, by="test", now=1))

    assert permits_all("VerifierPolicyArn", allow(f"{PREFIX}1a2b3c4d"))
    assert not permits_all("VerifierPolicyArn", allow("pi-7"))


@pytest.mark.parametrize("output", OUTPUTS)
def test_nobody_may_write_a_ca(output: str) -> None:
    assert not permits_all(output, of_the_maker())
    for action in ACTION.values():
        assert not permits(output, action, leading_keys=["certificate-authority#arn:aws:kms:…"])
        assert not permits(output, action, leading_keys=["device#pi-7", "certificate-authority#arn:aws:kms:…"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_write_whose_key_aws_does_not_say_is_the_operators_alone(output: str) -> None:
    """Whether AWS says it in a transaction is documented nowhere, and an update must not lock operators out."""
    for action in ACTION.values():
        assert permits(output, action) is (output == "OperatorPolicyArn")


@pytest.mark.parametrize("output", OUTPUTS)
def test_everybody_may_read(output: str) -> None:
    for action in ("dynamodb:GetItem", "dynamodb:Query"):
        assert permits(output, action, leading_keys=["certificate-authority#arn:aws:kms:…"])
    assert permits(output, "dynamodb:Query", resource="<table>/index/listing", leading_keys=["device"])
    # For the audit; what it reads could be read key by key as well.
    assert permits(output, "dynamodb:Scan") is (output != "VerifierPolicyArn")


def test_an_operator_may_retire_a_ca_of_the_fleet_and_no_other() -> None:
    ca = "arn:<Partition>:iot:<Region>:<AccountId>:cacert/0000"
    assert permits("OperatorPolicyArn", "iot:UpdateCACertificate", resource=ca, fleet="zymkey")
    assert not permits("OperatorPolicyArn", "iot:UpdateCACertificate", resource=ca, fleet="another")
    assert not permits("OperatorPolicyArn", "iot:UpdateCACertificate", resource=ca)


@pytest.mark.parametrize("issuer", ["kms", "external"])
def test_the_registration_of_a_ca_has_the_tag_that_the_operators_policy_asks_for(issuer: str) -> None:
    registrations = synthesize(issuer=issuer, fleet="ours").trust.resources("AWS::IoT::CACertificate")
    assert registrations
    for registration in registrations.values():
        assert {"Key": "zymkey-fleet", "Value": "ours"} in registration["Properties"]["Tags"]


@pytest.mark.parametrize("issuer", ISSUERS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_managed_policy_fits_into_what_iam_takes_with_the_longest_names(output: str, issuer: str) -> None:
    """6,144 characters without white space (IAM quotas). The names that AWS makes of ours are bounded here."""
    groups = [letter * 128 for letter in "abcd"]
    most = [f"{number:025d}" for number in range(20)]
    for each in (groups, most):
        things = {"allowedGroups": each}
        both = synthesize(issuer=issuer, fleet="f" * 31, things=things)
        _fits(both, output)


def _fits(both: Any, output: str) -> None:
    exported = both.enrollment.body["Outputs"][output]["Value"]["Fn::GetStackOutput"]["OutputName"]
    assert len(_resolved(_referenced(both.trust, exported)["PolicyDocument"])) <= 6144


def _resolved(document: dict[str, Any]) -> str:
    """With values as long as AWS makes them: a table's ARN, a partition, a Region, an account."""
    lengths = {"<Partition>": 10, "<Region>": 14, "<AccountId>": 12, "<table>": 300, "<iot policy>": 128}
    text = json.dumps(
        [{**each, "Resource": [shown(one) for one in _listed(each["Resource"])]} for each in document["Statement"]],
        separators=(",", ":"),
    )
    for name, length in lengths.items():
        text = text.replace(name, "x" * length)
    return text + "x" * 40  # version and braces


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
