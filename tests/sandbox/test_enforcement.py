"""The emulator enforces what the templates grant, so a missing permission fails the tests as it would fail on AWS."""

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.environment import as_operator, sdk_connection
from sandbox.permissions import POLICY_NAME
from tests.support.cloud.running_sandbox import RunningSandbox


@pytest.fixture
def enroll_role(sandbox: RunningSandbox) -> str:
    """The name of the enroll function's role, which the sandbox has adapted."""
    iam = sandbox.boto("iam")
    stack = f"{sandbox.outputs['Fleet']}-Enrollment"
    resources = sandbox.boto("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    roles = [each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::IAM::Role"]
    (enrolls,) = [each for each in roles if "-Enroll" in each.removeprefix(f"{stack}")]
    assert POLICY_NAME in iam.list_role_policies(RoleName=enrolls)["PolicyNames"]
    return str(enrolls)


def refusal(call: ClientError) -> str:
    return str(call.response["Error"]["Code"])


def test_the_function_may_not_do_what_its_role_does_not_say(sandbox: RunningSandbox, enroll_role: str) -> None:
    arn = sandbox.boto("iam").get_role(RoleName=enroll_role)["Role"]["Arn"]
    credentials = sandbox.boto("sts").assume_role(RoleArn=arn, RoleSessionName="enforcement")["Credentials"]
    connection = sdk_connection(sandbox.env) | {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }
    iot = boto3.client("iot", **connection)
    assert iot.describe_endpoint(endpointType="iot:Data-ATS")
    with pytest.raises(ClientError) as denied:
        iot.delete_ca_certificate(certificateId="0" * 64)
    assert refusal(denied.value) == "AccessDeniedException"
    with pytest.raises(ClientError) as denied:
        boto3.client("dynamodb", **connection).delete_table(TableName=sandbox.outputs["LedgerTable"])
    assert refusal(denied.value) == "AccessDeniedException"


def test_the_operator_is_no_administrator(sandbox: RunningSandbox) -> None:
    connection = sdk_connection(as_operator(sandbox.env))
    stack = f"{sandbox.outputs['Fleet']}-Enrollment"
    assert boto3.client("cloudformation", **connection).describe_stacks(StackName=stack)["Stacks"]
    with pytest.raises(ClientError) as denied:
        boto3.client("cloudformation", **connection).delete_stack(StackName=stack)
    assert refusal(denied.value) == "AccessDenied"
    with pytest.raises(ClientError) as denied:
        boto3.client("iam", **connection).list_users()
    assert refusal(denied.value) == "AccessDenied"


def test_a_request_signed_with_a_wrong_secret_is_refused(sandbox: RunningSandbox) -> None:
    connection = sdk_connection(as_operator(sandbox.env)) | {"aws_secret_access_key": "wrong"}
    with pytest.raises(ClientError) as denied:
        boto3.client("cloudformation", **connection).describe_stacks()
    assert refusal(denied.value) == "SignatureDoesNotMatch"
