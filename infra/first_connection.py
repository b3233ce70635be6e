"""Just-in-time registration: AWS IoT sees a certificate that was signed in the factory for the first time.

AWS IoT keeps the certificate as PENDING_ACTIVATION, publishes an event and closes the connection; the function
decides whether the device is let in when it connects again (AWS IoT developer guide, "Just-in-time registration").
"""

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from constructs import Construct

from infra.bundled_function import BundledFunction, FunctionDefaults


class FirstConnection(Construct):
    """A rule on the CA's events, and the function that it calls; ``admission`` is the setting ``firstConnection``."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        defaults: FunctionDefaults,
        certificate_authority_id: str,
        admission: str,
    ) -> None:
        super().__init__(scope, construct_id)

        self.activate = BundledFunction(
            self,
            "Activate",
            defaults=defaults,
            handler="functions.handlers.first_connection.handler",
            service="first-connection",
            description="Lets in a device whose certificate AWS IoT sees for the first time",
            environment={"FIRST_CONNECTION": admission},
            timeout=Duration.seconds(20),
        )
        rule = iot.CfnTopicRule(
            self,
            "Rule",
            topic_rule_payload=iot.CfnTopicRule.TopicRulePayloadProperty(
                description="Certificates of the fleet's CA that AWS IoT sees for the first time",
                sql=f"SELECT * FROM '$aws/events/certificates/registered/{certificate_authority_id}'",  # noqa: S608
                aws_iot_sql_version="2016-03-23",
                actions=[
                    iot.CfnTopicRule.ActionProperty(
                        lambda_=iot.CfnTopicRule.LambdaActionProperty(function_arn=self.activate.function.function_arn)
                    )
                ],
            ),
        )
        self.activate.function.add_permission(
            "Rule",
            principal=iam.ServicePrincipal("iot.amazonaws.com"),
            source_arn=rule.attr_arn,
            source_account=Stack.of(self).account,
        )
