"""The permissions of ``zymkey-fleet``, for operators who are not administrators."""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.ledger_table import LedgerTable
from infra.registration_access import SHOWN_ARN, iot_arn

# The names of the throw-away devices of ``zymkey-fleet verify``.
_VERIFY_THINGS = "thing/zymkey-fleet-verify-*"


class OperatorPolicy(Construct):
    """A managed policy to attach to people's roles. Retained: IAM does not delete a policy that is attached."""

    def __init__(
        self, scope: Construct, construct_id: str, *, ledger: LedgerTable, device_policy: str, enrollment_stack: str
    ) -> None:
        super().__init__(scope, construct_id)

        policy = iam.ManagedPolicy(self, "Policy")
        ledger.grant(policy, "ConditionCheckItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
        ledger.grant_listing(policy)

        iot = iot_arn(self)
        stack = Stack.of(self).format_arn(
            service="cloudformation", resource="stack", resource_name=f"{enrollment_stack}/*"
        )
        for actions, resources in (
            (["cloudformation:DescribeStacks"], [stack]),
            (  # block, unblock, remove; audit, which also deletes what an enrollment left unfinished; verify
                ["iot:DeleteCertificate", "iot:DescribeCertificate", "iot:DetachPolicy", "iot:UpdateCertificate"],
                [f"{iot}:cert/*"],
            ),
            (["iot:ListPrincipalThings"], [f"{iot}:cert/*"]),
            (["iot:ListTargetsForPolicy"], [f"{iot}:policy/{device_policy}"]),
            (["iot:DescribeCACertificate", "iot:UpdateCACertificate"], [f"{iot}:cacert/*"]),
            (["iot:DetachThingPrincipal"], [f"{iot}:cert/*", f"{iot}:{_VERIFY_THINGS}"]),
            (["iot:DeleteThing"], [f"{iot}:{_VERIFY_THINGS}"]),
            # These actions have no resource type: only * is possible.
            (["iot:GetRegistrationCode", "iot:ListAttachedPolicies", "iot:ListCertificates"], ["*"]),
        ):
            policy.add_statements(iam.PolicyStatement(actions=actions, resources=resources))
        policy.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        self.policy_arn = policy.managed_policy_arn

        shown_stack = SHOWN_ARN.replace(":iot:", ":cloudformation:") + f":stack/{enrollment_stack}/*"
        acknowledge(
            policy,
            {
                f"AwsSolutions-IAM5[Resource::{shown_stack}]": "A stack that is created again has another id.",
                f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:cert/*]": "Certificates get their ids when they are created.",
                f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:cacert/*]": "The settings do not name a retired CA.",
                f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:{_VERIFY_THINGS}]": "Each smoke test names its own thing.",
                "AwsSolutions-IAM5[Resource::*]": (
                    "GetRegistrationCode, ListAttachedPolicies and ListCertificates have no resource type."
                ),
            },
        )
