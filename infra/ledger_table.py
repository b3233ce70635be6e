"""The table of the ledger: devices, keys, invitations, certificates. The package ``ledger`` knows its items."""

from collections.abc import Sequence

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.adoption import Placeholder
from ledger import LISTED_ATTRIBUTES

LISTING_INDEX = "listing"


class LedgerTable(Construct):
    """Items by ``pk`` and ``sk``; the sparse index ``listing`` has the items that an operator lists."""

    def __init__(self, scope: Construct, construct_id: str, *, adopted: str | None = None) -> None:
        """``adopted`` is the name of a table that an earlier deployment left, and which is used instead."""
        super().__init__(scope, construct_id)

        if adopted is not None:
            Placeholder(self, "Table")
            self.table: dynamodb.ITable = dynamodb.Table.from_table_name(self, "Adopted", adopted)
            return
        table = dynamodb.Table(
            self,
            "Table",
            partition_key=_string("pk"),
            sort_key=_string("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expires_at",
            # Retained also by a rollback, which could not delete a protected table anyway. The name is generated,
            # so it never collides with that of an older table.
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        # DynamoDB cannot change the attributes of an index: other attributes need an index of another name.
        table.add_global_secondary_index(
            index_name=LISTING_INDEX,
            partition_key=_string("listing"),
            sort_key=_string("pk"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=list(LISTED_ATTRIBUTES),
        )
        self.table = table

    def grant(self, grantee: iam.IGrantable, *actions: str) -> None:
        """Allow these actions on the table, and none on the index."""
        grantee.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(actions=[f"dynamodb:{action}" for action in actions], resources=[self.table.table_arn])
        )

    def grant_on_keys(
        self, grantee: iam.IGrantable, keys: Sequence[str], *actions: str, also_without_keys: bool = True
    ) -> None:
        """Allow these actions on items under these partition keys alone (``*`` for the rest of one).

        Each write of a transaction is authorized as the action that it is (DynamoDB Developer Guide, "Using IAM with
        transactions"). That AWS says its key then is written nowhere: ``verify`` observes it. ForAllValues holds for
        a request without any key, too (IAM User Guide, set operators), so if AWS does not say it, the action is allowed
        on all items, and nobody is locked out.

        Args:
            also_without_keys: False refuses what AWS says no key of: for who had no permission before, and has to be
                kept from the rest by all means.
        """
        limits: dict[str, dict[str, object]] = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}}
        if not also_without_keys:
            limits["Null"] = {"dynamodb:LeadingKeys": "false"}
        grantee.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[f"dynamodb:{action}" for action in actions],
                resources=[self.table.table_arn],
                conditions=limits,
            )
        )

    def grant_listing(self, grantee: iam.IGrantable) -> None:
        """Allow to read the index."""
        grantee.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(actions=["dynamodb:Query"], resources=[f"{self.table.table_arn}/index/{LISTING_INDEX}"])
        )


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
