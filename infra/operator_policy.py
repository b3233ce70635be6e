"""What `zymkey-fleet` needs, for operators who are no administrators."""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.ledger_table import LedgerTable


class OperatorPolicy(Construct):
    """A managed policy to attach to people's roles. Retained: IAM does not delete a policy that is attached."""

    def __init__(self, scope: Construct, construct_id: str, *, ledger: LedgerTable, enrollment_stack: str) -> None:
        super().__init__(scope, construct_id)

        stack = Stack.of(self)
        iot = f"arn:{stack.partition}:iot:{stack.region}:{stack.account}"
        policy = iam.ManagedPolicy(self, "Policy")
        ledger.grant(policy, "ConditionCheckItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
        ledger.grant_listing(policy)
        policy.add_statements(
            iam.PolicyStatement(
                actions=["cloudformation:DescribeStacks"],
                resources=[
                    stack.format_arn(service="cloudformation", resource="stack", resource_name=f"{enrollment_stack}/*")
                ],
            ),
            iam.PolicyStatement(
                actions=["iot:DescribeCertificate", "iot:UpdateCertificate"], resources=[f"{iot}:cert/*"]
            ),
        )
        policy.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        self.policy_arn = policy.managed_policy_arn
        acknowledge(
            policy,
            {
                "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:cloudformation:<AWS::Region>:<AWS::AccountId>"
                f":stack/{enrollment_stack}/*]": "The id of a stack changes when it is made again.",
                "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:iot:<AWS::Region>:<AWS::AccountId>:cert/*]": (
                    "Certificates get their ids when they are made."
                ),
            },
        )
