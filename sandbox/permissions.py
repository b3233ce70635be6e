"""The permissions that the emulator asks for in another form than AWS does.

AWS IoT checks some actions on the certificate, the policy or the CA that they name, and the template grants them on
those. The emulator does not find the resource in these calls and checks them on ``*``. The template stays right; each
role or user with such a permission gets the emulator's form of it here.

Where a write is limited to some partition keys (``dynamodb:LeadingKeys``), which the emulator does not find in a
request, its actions are given without the condition. tests/template/test_people.py tries the condition itself.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_iam import IAMClient

ACTIONS = (
    "iot:AttachPolicy",
    "iot:DetachPolicy",
    "iot:DetachThingPrincipal",
    "iot:ListPrincipalThings",
    "iot:ListTargetsForPolicy",
    "iot:UpdateCACertificate",
)
POLICY_NAME = "emulator-form"


def adapt_roles(iam: "IAMClient", cloudformation: "CloudFormationClient", stack: str) -> list[str]:
    """Give each of the stack's roles the emulator's form of what it has; return the names of those that needed it."""
    roles = [
        resource["PhysicalResourceId"]
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::IAM::Role"
    ]
    adapted = {role: held for role in roles if (held := _held_by_role(iam, role))}
    for role, held in adapted.items():
        iam.put_role_policy(RoleName=role, PolicyName=POLICY_NAME, PolicyDocument=_document(held))
    return list(adapted)


def adapt_user(iam: "IAMClient", user: str, policy_arn: str) -> None:
    """Give a user the emulator's form of what a managed policy allows."""
    version = iam.get_policy(PolicyArn=policy_arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=policy_arn, VersionId=version)["PolicyVersion"]["Document"]
    iam.put_user_policy(UserName=user, PolicyName=POLICY_NAME, PolicyDocument=_document(_held_by([document])))


def _held_by_role(iam: "IAMClient", role: str) -> list[str]:
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names if name != POLICY_NAME
    ]
    return _held_by(documents)


def _held_by(documents: Sequence[Any]) -> list[str]:
    """The actions of the policy documents that the emulator checks in a form of its own."""
    held: set[str] = set()
    for document in documents:
        for statement in document["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            limited = "dynamodb:LeadingKeys" in json.dumps(statement.get("Condition", {}))
            held.update(action for action in actions if limited or action in ACTIONS)
    return sorted(held)


def _document(actions: list[str]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": actions, "Resource": "*"}})
