"""What a function needs in order to bring certificates into AWS IoT, call by call.

Resource types as the Service Authorization Reference lists them for AWS IoT; an action without any can only be
allowed on ``*``. The ids of certificates are not known beforehand, hence ``cert/*``; things are named by the
operator at any time, hence ``thing/*``.
"""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from infra.acknowledge import acknowledge

# As cdk-nag writes what ``iot_arn`` returns.
SHOWN_ARN = "arn:<AWS::Partition>:iot:<AWS::Region>:<AWS::AccountId>"

_CREATION = {
    "kms": "iot:RegisterCertificate",
    "aws": "iot:CreateCertificateFromCsr",
    "external": "iot:RegisterCertificate",
}


def grant_creation(role: iam.Role, *, issuer: str) -> None:
    """Allow making certificates known to AWS IoT, and asking for the data endpoint."""
    actions = [_CREATION[issuer], "iot:DescribeEndpoint"]
    # No resource types: nothing else than * is possible.
    role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=["*"]))
    acknowledge(role, {"AwsSolutions-IAM5[Resource::*]": f"{' and '.join(actions)} have no resource type."})


def grant_activation(role: iam.Role) -> None:
    """Allow switching certificates on and off, making their things and attaching the policy."""
    grant_switching(role)
    iot = iot_arn(role)
    for actions, resources in (
        (["iot:AttachPolicy", "iot:DescribeCertificate"], [f"{iot}:cert/*"]),
        (["iot:CreateThing"], [f"{iot}:thing/*"]),
        # The reference has the certificate as the resource; the thing is in the request, too.
        (["iot:AttachThingPrincipal"], [f"{iot}:cert/*", f"{iot}:thing/*"]),
    ):
        role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=resources))
    acknowledge(role, {f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:thing/*]": "Things are named by the operator."})


def grant_switching(role: iam.Role) -> None:
    """Allow switching certificates on and off."""
    role.add_to_principal_policy(
        iam.PolicyStatement(actions=["iot:UpdateCertificate"], resources=[f"{iot_arn(role)}:cert/*"])
    )
    acknowledge(
        role, {f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:cert/*]": "Certificates get their ids when they are made."}
    )


def iot_arn(scope: IConstruct) -> str:
    """What the ARN of everything in AWS IoT begins with, in the stack's account and Region."""
    stack = Stack.of(scope)
    return f"arn:{stack.partition}:iot:{stack.region}:{stack.account}"
