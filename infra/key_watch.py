"""An alarm when somebody is about to end, or has changed, what the CA's key may be used for."""

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.alarms import PERIOD, Alarms

# What ends signing, and what changes who may sign. A deletion waits for 7 to 30 days, in which it can be canceled; a
# disabled key can be enabled.
_WATCHED = ["ScheduleKeyDeletion", "DisableKey", "PutKeyPolicy"]


class KeyWatch(Construct):
    """A rule on CloudTrail's events of these calls, tried ones too, and an alarm on how often the rule was triggered.

    The account needs a trail that records management events: without one, EventBridge gets none of them. The rule has
    no target: its own metric is what the alarm looks at, so the alarm tells whoever the other alarms tell.
    """

    def __init__(self, scope: Construct, construct_id: str, *, keys: Sequence[kms.IKey], alarms: Alarms) -> None:
        super().__init__(scope, construct_id)

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
