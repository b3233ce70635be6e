"""Switches the old certificate off after a renewal, when the device has had time to get the new one."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.bundled_function import BundledFunction, FunctionDefaults


class SupersededSweep(Construct):
    """A function that looks for superseded certificates every day."""

    def __init__(self, scope: Construct, construct_id: str, *, defaults: FunctionDefaults, grace_days: int) -> None:
        super().__init__(scope, construct_id)

        self.sweep = BundledFunction(
            self,
            "Sweep",
            defaults=defaults,
            handler="functions.handlers.superseded.handler",
            service="superseded",
            description="Switches off certificates that a renewal has superseded",
            environment={"RENEWAL_GRACE_DAYS": str(grace_days)},
            # UpdateCertificate's quota is 10 a second: time for 6,000 renewals a day.
            timeout=Duration.minutes(10),
        )
        schedule = events.CfnRule(
            self,
            "Schedule",
            description="Once a day, for certificates that a renewal has superseded",
            schedule_expression="rate(1 day)",
            targets=[events.CfnRule.TargetProperty(id="Sweep", arn=self.sweep.function.function_arn)],
        )
        self.sweep.function.add_permission(
            "Schedule", principal=iam.ServicePrincipal("events.amazonaws.com"), source_arn=schedule.attr_arn
        )
