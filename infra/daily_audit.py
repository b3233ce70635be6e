"""Holds the ledger and AWS IoT against each other every day, and deletes certificates that nobody needs any more."""

from dataclasses import replace

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.bundled_function import BundledFunction, FunctionDefaults
from infra.ledger_table import LedgerTable
from infra.registration_access import SHOWN_ARN, iot_arn
from infra.things import ThingSettings

# What the other functions need to enroll, and this one does not: Lambda takes 4,096 bytes of environment.
_NOT_NEEDED = {"CA_CERTIFICATES": "", "CERTIFICATE_SUBJECT": "{}", "TOPICS": "{}", "LIFECYCLE": "{}"}
# The digest of the policy, and of each CA the ARN of a key or an id, which only AWS knows.
_UNKNOWN = {"DECLARED": (120, 120 + 4 * 180)}
# Under which partition keys it writes: its own record, and what it deletes.
_RECORD, _DEVICES = "audit", "device#*"


class DailyAudit(Construct):
    """A function that looks at the whole fleet once a day (``functions/audit_run.py``).

    A run has 15 minutes, the most that Lambda gives. Of 100,000 devices it takes two, and of a million twelve
    (docs/scale.md): AWS IoT's lists, of which a page takes a tenth of a second by quota. The registry takes 40 MB a
    million certificates, so that the memory of every function suffices. It may delete certificates that are inactive,
    and neither switch one on or off nor sign.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        defaults: FunctionDefaults,
        ledger: LedgerTable,
        device_policy: str,
        declared: str,
        things: ThingSettings | None,
        grace_days: int,
        delete_after_days: int,
    ) -> None:
        """``declared`` is what AWS IoT is held against, as JSON (``audit.declared``)."""
        super().__init__(scope, construct_id)

        self.audit = BundledFunction(
            self,
            "Audit",
            defaults=replace(defaults, environment={**defaults.environment, **_NOT_NEEDED}, unknown=_UNKNOWN),
            handler="functions.handlers.audit.handler",
            service="audit",
            description="Holds the ledger and AWS IoT against each other, and deletes what nobody needs",
            environment={
                "RENEWAL_GRACE_DAYS": str(grace_days),
                "DELETE_AFTER_DAYS": str(delete_after_days),
                "DECLARED": declared,
            },
            timeout=Duration.minutes(15),
        )
        schedule = events.CfnRule(
            self,
            "Schedule",
            description="Once a day, for whatever the ledger and AWS IoT do not agree about",
            schedule_expression="rate(1 day)",
            targets=[events.CfnRule.TargetProperty(id="Audit", arn=self.audit.function.function_arn)],
        )
        self.audit.function.add_permission(
            "Schedule", principal=iam.ServicePrincipal("events.amazonaws.com"), source_arn=schedule.attr_arn
        )
        role, iot = self.audit.role, iot_arn(self)
        ledger.grant(role, "GetItem", "Query", "Scan")
        ledger.grant_on_keys(role, [_RECORD, _DEVICES], "PutItem")
        ledger.grant_on_keys(role, [_DEVICES], "ConditionCheckItem", "UpdateItem")
        certificates = [
            *("DeleteCertificate", "DescribeCertificate", "DetachPolicy", "DetachThingPrincipal"),
            "ListPrincipalThings",
        ]
        unlimited = ["ListAttachedPolicies", "ListCertificates", "ListCertificatesByCA", "ListThings"]
        groups = () if things is None else things.usable_groups
        for actions, resources in (
            (certificates, [f"{iot}:cert/*"]),
            (["GetPolicy", "ListTargetsForPolicy"], [f"{iot}:policy/{device_policy}"]),
            (["DescribeCACertificate"], [f"{iot}:cacert/*"]),
            (["DescribeThing", *(["ListThingGroupsForThing"] if groups else [])], [f"{iot}:thing/*"]),
            *([(["ListThingsInThingGroup"], [f"{iot}:thinggroup/{each}" for each in groups])] if groups else []),
            # These actions have no resource type: only * is possible.
            (unlimited, ["*"]),
        ):
            role.add_to_principal_policy(
                iam.PolicyStatement(actions=[f"iot:{each}" for each in actions], resources=resources)
            )
        acknowledge(
            role,
            {
                f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:cert/*]": "Certificates get their ids when they are created.",
                f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:cacert/*]": "A CA gets its id when it is made.",
                f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:thing/*]": "Operators name things at any time.",
                "AwsSolutions-IAM5[Resource::*]": f"{' and '.join(unlimited)} have no resource type.",
            },
        )
