"""A permissions boundary on every role of a stack, also on those that a construct of the CDK makes."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam


def bound_roles(stack: Stack, boundary: str | None) -> None:
    """Limit all roles of the stack by a managed policy, given by its name in this account or by its ARN."""
    if boundary is None:
        return
    arn = boundary if boundary.startswith("arn:") else f"arn:{stack.partition}:iam::{stack.account}:policy/{boundary}"
    policy = iam.ManagedPolicy.from_managed_policy_arn(stack, "PermissionsBoundary", arn)
    iam.PermissionsBoundary.of(stack).apply(policy)
