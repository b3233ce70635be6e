"""What a function needs in order to bring certificates into AWS IoT, call by call.

Resource types as the Service Authorization Reference lists them for AWS IoT; an action without any can only be
allowed on ``*``. The ids of things and certificates are not known beforehand, hence ``thing/*`` and ``cert/*``.
"""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from infra.acknowledge import acknowledge

_CREATION = {
    "kms": "iot:RegisterCertificate",
    "aws": "iot:CreateCertificateFromCsr",
    "external": "iot:RegisterCertificate",
}


def grant_registration(role: iam.Role, *, issuer: str) -> None:
    """Allow registering a certificate, making its thing and attaching the policy."""
    stack = Stack.of(role)

    def arn(resource: str) -> str:
        return f"arn:{stack.partition}:iot:{stack.region}:{stack.account}:{resource}"

    for actions, resources in (
        # No resource type: nothing else than * is possible.
        ([_CREATION[issuer], "iot:DescribeEndpoint"], ["*"]),
        (["iot:UpdateCertificate", "iot:DescribeCertificate", "iot:AttachPolicy"], [arn("cert/*")]),
        (["iot:CreateThing"], [arn("thing/*")]),
        # The reference names cert; a thing is named in the request as well.
        (["iot:AttachThingPrincipal"], [arn("cert/*"), arn("thing/*")]),
    ):
        role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=resources))

    shown = "arn:<AWS::Partition>:iot:<AWS::Region>:<AWS::AccountId>"
    acknowledge(
        role,
        {
            "AwsSolutions-IAM5[Resource::*]": f"{_CREATION[issuer]} and iot:DescribeEndpoint have no resource type.",
            f"AwsSolutions-IAM5[Resource::{shown}:cert/*]": "Certificates get their ids when they are made.",
            f"AwsSolutions-IAM5[Resource::{shown}:thing/*]": "Things are named by the operator, at any time.",
        },
    )
