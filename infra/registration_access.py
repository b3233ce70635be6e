"""The permissions that a function needs to register and activate certificates in AWS IoT, call by call.

Resource types are those of the Service Authorization Reference for AWS IoT; an action without a resource type can only
be allowed on ``*``. It is ``cert/*`` because the ids of certificates are not known in advance, and ``thing/*`` because
operators name things at any time.
"""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from infra.acknowledge import acknowledge
from infra.things import ThingSettings
from pki.issuers import AMAZON, EXTERNAL, KMS

# What ``iot_arn`` returns, as cdk-nag writes it.
SHOWN_ARN = "arn:<AWS::Partition>:iot:<AWS::Region>:<AWS::AccountId>"

_CREATION = {
    KMS: "iot:RegisterCertificate",
    AMAZON: "iot:CreateCertificateFromCsr",
    EXTERNAL: "iot:RegisterCertificate",
}


def grant_creation(role: iam.Role, *, issuer: str) -> None:
    """Allow the issuer's way to register certificates, and to read the address of the data endpoint."""
    actions = [_CREATION[issuer], "iot:DescribeEndpoint"]
    # These actions have no resource type: only * is possible.
    role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=["*"]))
    acknowledge(role, {"AwsSolutions-IAM5[Resource::*]": f"{' and '.join(actions)} have no resource type."})


def grant_activation(role: iam.Role, *, things: ThingSettings | None) -> None:
    """Allow to switch certificates on and off, create and mark their things, and attach the policy."""
    grant_switching(role)
    iot = iot_arn(role)
    for actions, resources in (
        (["iot:AttachPolicy", "iot:DescribeCertificate"], [f"{iot}:cert/*"]),
        # To create a thing; to find out whose an existing one is; and to mark one of the first release.
        (
            ["iot:CreateThing", "iot:DescribeThing", "iot:ListThingPrincipals", "iot:UpdateThing"],
            [f"{iot}:thing/*"],
        ),
        # The reference names the certificate as the resource; the request has the thing, too.
        (["iot:AttachThingPrincipal"], [f"{iot}:cert/*", f"{iot}:thing/*"]),
    ):
        role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=resources))
    if things is not None and things.billing_group:
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=["iot:CreateThing"], resources=[f"{iot}:billinggroup/{things.billing_group}"])
        )
    if things is not None and things.usable_groups:
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["iot:AddThingToThingGroup"],
                resources=[*(f"{iot}:thinggroup/{each}" for each in things.usable_groups), f"{iot}:thing/*"],
            )
        )
    acknowledge(role, {f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:thing/*]": "Operators name things at any time."})


def grant_switching(role: iam.Role) -> None:
    """Allow to switch certificates on and off."""
    role.add_to_principal_policy(
        iam.PolicyStatement(actions=["iot:UpdateCertificate"], resources=[f"{iot_arn(role)}:cert/*"])
    )
    acknowledge(
        role, {f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:cert/*]": "Certificates get their ids when they are created."}
    )


def iot_arn(scope: IConstruct) -> str:
    """The beginning of every ARN of AWS IoT, in the stack's account and Region."""
    stack = Stack.of(scope)
    return f"arn:{stack.partition}:iot:{stack.region}:{stack.account}"
