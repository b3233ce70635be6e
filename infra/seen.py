"""Switches the old certificate off when the new one was seen in use, over MQTT or by the device's own word."""

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from constructs import Construct

from infra.bundled_function import BundledFunction, FunctionDefaults
from infra.lifecycle_topics import CERTIFICATE

# AWS IoT Developer Guide, lifecycle events. Only a client with a certificate has a principal of this form; whoever
# comes with IAM credentials is none of the fleet's devices.
_PRESENCE = (
    "SELECT clientId AS device, principalIdentifier AS certificateId FROM '$aws/events/presence/connected/+' "
    "WHERE regexp_matches(principalIdentifier, '^[0-9a-f]{64}$')"
)


class Seen(Construct):
    """A function, and the rules that call it: for each connection over MQTT, and for each confirmation.

    AWS IoT publishes an event for every client of the account, and a rule cannot know what the ledger knows. So every
    connection calls the function, which reads one item: 0.7 USD for a million connections (docs/scale.md).
    """

    def __init__(self, scope: Construct, construct_id: str, *, defaults: FunctionDefaults, confirm: str | None) -> None:
        """``confirm`` is the topic of confirmations (``infra.lifecycle_topics``); None when there is none."""
        super().__init__(scope, construct_id)

        self.seen = BundledFunction(
            self,
            "Seen",
            defaults=defaults,
            handler="functions.handlers.seen.handler",
            service="seen",
            description="Switches off certificates whose successors were seen in use",
            timeout=Duration.seconds(20),
        )
        self._call_for("Connected", "Connections over MQTT, with which certificate", _PRESENCE)
        if confirm is not None:
            topic = confirm.replace(CERTIFICATE, "+")
            level = confirm.split("/").index(CERTIFICATE) + 1
            self._call_for(
                "Confirmed",
                "What devices say of their new certificates",
                f"SELECT device, topic({level}) AS certificateId FROM '{topic}'",  # noqa: S608
            )

    def _call_for(self, construct_id: str, description: str, sql: str) -> None:
        rule = iot.CfnTopicRule(
            self,
            construct_id,
            topic_rule_payload=iot.CfnTopicRule.TopicRulePayloadProperty(
                description=description,
                sql=sql,
                aws_iot_sql_version="2016-03-23",
                actions=[
                    iot.CfnTopicRule.ActionProperty(
                        lambda_=iot.CfnTopicRule.LambdaActionProperty(function_arn=self.seen.function.function_arn)
                    )
                ],
            ),
        )
        self.seen.function.add_permission(
            construct_id,
            principal=iam.ServicePrincipal("iot.amazonaws.com"),
            source_arn=rule.attr_arn,
            source_account=Stack.of(self).account,
        )
