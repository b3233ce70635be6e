"""The one permission that the emulator asks for and AWS does not.

AWS IoT checks iot:AttachPolicy on the certificate's ARN, and the template grants it on those. The emulator checks
it on `*`. The template stays right; the roles that hold the permission get the emulator's form of it here.
"""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_iam import IAMClient

ACTION = "iot:AttachPolicy"
POLICY_NAME = "emulator-attach-policy"
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ACTION, "Resource": "*"}})


def adapt_roles(iam: "IAMClient", cloudformation: "CloudFormationClient", stack: str) -> list[str]:
    """Add the permission to each of the stack's roles that holds it already; return their names."""
    roles = [
        resource["PhysicalResourceId"]
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::IAM::Role"
    ]
    adapted = [role for role in roles if _holds(iam, role)]
    for role in adapted:
        iam.put_role_policy(RoleName=role, PolicyName=POLICY_NAME, PolicyDocument=DOCUMENT)
    return adapted


def _holds(iam: "IAMClient", role: str) -> bool:
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return any(
        ACTION in json.dumps(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
        for name in names
        if name != POLICY_NAME
    )
