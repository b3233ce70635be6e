"""AWS IoT's own log: connections, publishes and policy denials of every device in the account and Region."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from constructs import Construct

from infra.acknowledge import acknowledge

# AWS IoT writes into this group, makes it when it is missing, and takes no other.
_LOG_GROUP = "AWSIotLogsV2"


class IotLogging(Construct):
    """The account's logging options, and the role that AWS IoT writes with; ``level`` is the setting ``iotLogging``.

    One per account and Region. CloudFormation does not take over a log that is on already (the published handler's
    create fails with AlreadyExists), sets the level at each update, and switches the log off when it deletes this.
    """

    def __init__(self, scope: Construct, construct_id: str, *, level: str) -> None:
        super().__init__(scope, construct_id)

        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            # As AWS IoT documents it, without a condition on the source. Only this account can pass the role on.
            assumed_by=iam.ServicePrincipal("iot.amazonaws.com"),
        )
        # What the managed policy AWSIoTLogging allows on every group, without reading and deleting.
        group = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:{_LOG_GROUP}"
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:PutLogEvents",
                    "logs:PutMetricFilter",
                    "logs:PutRetentionPolicy",
                ],
                resources=[f"{group}:*"],
            )
        )
        shown = f"arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:{_LOG_GROUP}:*"
        acknowledge(role, {f"AwsSolutions-IAM5[Resource::{shown}]": "AWS IoT names the streams of its group."})

        logging = iot.CfnLogging(
            self, "Logging", account_id=stack.account, default_log_level=level, role_arn=role.role_arn
        )
        # AWS IoT tries the role at once.
        logging.node.add_dependency(role)
