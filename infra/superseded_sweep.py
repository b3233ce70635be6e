"""Switches the old certificate off after a renewal, when the device has had time to get the new one."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.bundled_function import BundledFunction, FunctionDefaults


class SupersededSweep(Construct):
    """A function that looks for superseded certificates every hour.

    A run has 15 minutes, the most that Lambda gives, and switches off 8 a second: some 6,000. With two more tries of a
    run that failed it is over before the next one, so no two work beside each other; it would do no harm if they did.
    (Reserving a concurrency of 1 would make sure, and fail in a new account, which has too few to reserve any.) Each
    run reads the index once: with a million devices 0.5 GB, which is 0.01 USD.
    """

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
            timeout=Duration.minutes(15),
        )
        schedule = events.CfnRule(
            self,
            "Schedule",
            description="Once an hour, for certificates that a renewal has superseded",
            schedule_expression="rate(1 hour)",
            targets=[events.CfnRule.TargetProperty(id="Sweep", arn=self.sweep.function.function_arn)],
        )
        self.sweep.function.add_permission(
            "Schedule", principal=iam.ServicePrincipal("events.amazonaws.com"), source_arn=schedule.attr_arn
        )
