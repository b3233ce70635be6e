"""An alarm when somebody is about to end, or has changed, what the CA's key may be used for."""

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.alarms import PERIOD, Alarms

# What ends signing, and what changes who may sign. A deletion waits for 7 to 30 days, in which it can be canceled; a
# disabled key can be enabled.
_WATCHED = ["ScheduleKeyDeletion", "DisableKey", "PutKeyPolicy"]


class KeyWatch(Construct):
    """A rule on CloudTrail's events of these calls, tried ones too, and an alarm on how often the rule was triggered.

    The account needs a trail that records management events: without one, EventBridge gets none of them. The alarm
    looks at the rule's own metric, so it tells whoever the other alarms tell. The rule has a target, since no document
    says that a rule without one is counted: a queue that nobody reads, which forgets after a minute. (An SNS topic
    would have to admit the rules of every account: its policy for EventBridge can have no condition.)
    """

    def __init__(self, scope: Construct, construct_id: str, *, keys: Sequence[kms.IKey], alarms: Alarms) -> None:
        super().__init__(scope, construct_id)

        queue = sqs.Queue(
            self,
            "Target",
            retention_period=Duration.minutes(1),  # the shortest that SQS has
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
        acknowledge(queue, {"AwsSolutions-SQS3": "Nobody reads the queue, so no message can fail."})
        rule = events.CfnRule(
            self,
            "Rule",
            description=f"{Stack.of(self).stack_name}: calls that end or change what the CA's key signs",
            event_pattern={
                "source": ["aws.kms"],
                "detail-type": ["AWS API Call via CloudTrail"],
                "detail": {
                    "eventSource": ["kms.amazonaws.com"],
                    "eventName": _WATCHED,
                    "resources": {"ARN": [key.key_arn for key in keys]},
                },
            },
            targets=[events.CfnRule.TargetProperty(id="Queue", arn=queue.queue_arn)],
        )
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
            )
        )
        alarms.add(
            self,
            "CaKey",
            cloudwatch.Metric(
                namespace="AWS/Events",
                metric_name="TriggeredRules",
                dimensions_map={"RuleName": rule.ref},
                period=PERIOD,
                statistic="Sum",
            ),
            threshold=1,
            description="Somebody has scheduled the deletion of a CA's key, disabled it, or changed its policy.",
        )
