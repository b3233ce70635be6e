"""Alarms that reach somebody: each tells one SNS topic, and links to its paragraph in the runbook."""

from typing import cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.acknowledge import acknowledge

PERIOD = Duration.minutes(5)


class AlarmTopic(Construct):
    """The topic of ``alarmEmail``, and the subscription, which a person has to confirm once by a link in a mail.

    It is not encrypted: CloudWatch cannot publish to a topic with the key ``alias/aws/sns``, whose policy nobody can
    change, and a key of its own would cost 1.00 a month for texts that hold no secret (the same stand in the alarms).
    """

    def __init__(self, scope: Construct, construct_id: str, *, fleet: str, email: str) -> None:
        super().__init__(scope, construct_id)

        self.topic = sns.Topic(self, "Topic", display_name=f"{fleet} alarms", enforce_ssl=True)
        sns.Subscription(self, "Email", topic=self.topic, protocol=sns.SubscriptionProtocol.EMAIL, endpoint=email)
        stack = Stack.of(self)
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": f"arn:{stack.partition}:cloudwatch:{stack.region}:{stack.account}:alarm:*"
                    },
                },
            )
        )
        acknowledge(
            self.topic,
            {"AwsSolutions-SNS2": "CloudWatch cannot publish with the key alias/aws/sns, and no text is a secret."},
        )


class Alarms:
    """What all alarms of both stacks have in common: who is told, and where their paragraphs are.

    Attributes:
        topic_arn: the SNS topic that is told; None when nobody is.
    """

    def __init__(self, *, topic_arn: str | None, runbook_url: str) -> None:
        self.topic_arn = topic_arn
        self._runbook_url = runbook_url

    def add(
        self,
        scope: Construct,
        construct_id: str,
        metric: cloudwatch.Metric,
        *,
        threshold: float,
        description: str,
        periods: int = 1,
        of_periods: int | None = None,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        """Raise an alarm when the metric reaches ``threshold`` in ``periods`` of the last ``of_periods``.

        Args:
            construct_id: also the heading of its paragraph in the runbook.
            description: one sentence; the link is put after it.
            of_periods: as many as ``periods`` when it is not given.
            missing: what a period without data means. With ``MISSING`` the silence of the metric is told too. A new
                alarm begins in that state, so that nothing is told before the metric has been there once.
        """
        alarm = metric.create_alarm(
            scope,
            construct_id,
            alarm_description=f"{description} {self._runbook_url}#{construct_id.lower()}",
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=of_periods or periods,
            datapoints_to_alarm=periods if of_periods else None,
            treat_missing_data=missing,
        )
        if self.topic_arn is not None:
            resource = cast(cloudwatch.CfnAlarm, alarm.node.default_child)
            resource.alarm_actions = [self.topic_arn]
            resource.ok_actions = [self.topic_arn]
            if missing is cloudwatch.TreatMissingData.MISSING:
                resource.insufficient_data_actions = [self.topic_arn]
        return alarm
