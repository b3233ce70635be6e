"""The custom resource that keeps an adopted IoT policy as the settings have it."""

import itertools
import json
import uuid

import pytest

from functions.adopted_policy import AdoptedPolicyError, answer
from functions.handlers import adopted_policy
from tests.support.aws_faults import Faults
from tests.support.emulator import CREDENTIALS


def document(number):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": f"Version{number}"}]})


@pytest.fixture
def policy(aws):
    """Left by a deployment, with one version."""
    return aws("iot").create_policy(policyName=f"left-{uuid.uuid4().hex}", policyDocument=document(0))["policyName"]


def event(policy, number, request="Update"):
    known = {} if request == "Create" else {"PhysicalResourceId": "id"}
    properties = {"PolicyName": policy, "PolicyDocument": document(number)}
    return {"RequestType": request, "ResourceProperties": properties, **known}


def versions(iot, policy):
    """Numbers of the documents, the default one last."""
    listed = iot.list_policy_versions(policyName=policy)["policyVersions"]
    assert len(listed) <= 5
    found = [
        json.loads(iot.get_policy_version(policyName=policy, policyVersionId=each["versionId"])["policyDocument"])[
            "Statement"
        ][0]["Sid"]
        for each in sorted(listed, key=lambda each: (each["isDefaultVersion"], int(each["versionId"])))
    ]
    return [int(each.removeprefix("Version")) for each in found]


def test_another_document_becomes_the_default_version(aws, policy):
    assert answer(event(policy, 1, "Create"), iot=aws("iot")) == {"PhysicalResourceId": f"adopted-policy/{policy}"}
    assert versions(aws("iot"), policy) == [0, 1]


def test_the_same_document_in_other_words_makes_no_version(aws, policy):
    same = event(policy, 0)
    same["ResourceProperties"]["PolicyDocument"] = json.dumps(json.loads(document(0)), indent=3)
    assert answer(same, iot=aws("iot")) == {"PhysicalResourceId": "id"}
    assert versions(aws("iot"), policy) == [0]


def test_the_oldest_version_goes_when_there_are_five_and_the_default_one_never(aws, policy):
    iot = aws("iot")
    for number in range(1, 8):
        answer(event(policy, number), iot=iot)
    assert versions(iot, policy) == [3, 4, 5, 6, 7]
    iot.set_default_policy_version(policyName=policy, policyVersionId="4")  # somebody goes back to the oldest
    assert versions(iot, policy) == [4, 5, 6, 7, 3]
    answer(event(policy, 8), iot=iot)
    assert versions(iot, policy) == [3, 5, 6, 7, 8]


def test_a_deletion_changes_nothing(aws, policy):
    assert answer(event(policy, 9, "Delete"), iot=aws("iot")) == {"PhysicalResourceId": "id"}
    assert versions(aws("iot"), policy) == [0]


def test_a_policy_that_is_not_there_is_named(aws):
    with pytest.raises(AdoptedPolicyError, match=r"no policy 'gone', which the setting adopt\.iotPolicy names"):
        answer(event("gone", 1), iot=aws("iot"))


@pytest.mark.parametrize("kind", ["refused", "lost"])
def test_a_call_that_breaks_is_made_good_by_the_next_deployment(aws, breakable_aws, kind):
    for position in itertools.count():
        name = aws("iot").create_policy(policyName=f"left-{uuid.uuid4().hex}", policyDocument=document(0))["policyName"]
        for number in range(1, 5):
            answer(event(name, number), iot=aws("iot"))
        client = breakable_aws("iot")
        faults = Faults(position=position, kind=kind)
        faults.watch(client)
        try:
            answer(event(name, 5), iot=client)
        except Exception:  # noqa: BLE001  whatever it is, CloudFormation hears of it
            assert faults.fired
        if not faults.fired:
            break
        answer(event(name, 5), iot=aws("iot"))
        assert versions(aws("iot"), name)[-1] == 5
    assert set(faults.calls) == {"GetPolicy", "ListPolicyVersions", "DeletePolicyVersion", "CreatePolicyVersion"}


def test_lambdas_entry_makes_the_client_itself(aws, policy, aws_address, monkeypatch):
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": aws_address, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    adopted_policy.handler(event(policy, 1), object())
    assert versions(aws("iot"), policy) == [0, 1]
