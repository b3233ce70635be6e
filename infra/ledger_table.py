"""The fleet's only memory: devices, keys, invitations, certificates. The package ``ledger`` knows its items."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

LISTING_INDEX = "listing"
# What `zymkey-fleet list` shows; small, so that listing a large fleet stays cheap. Never a PEM.
LISTED_ATTRIBUTES = (
    *("device", "state", "fingerprint", "token_expires", "updated_at"),
    *("certificate_id", "not_after", "issued_by", "unfinished", "csr_at"),
    *("superseded", "superseded_at", "superseded_issued_by"),
)


class LedgerTable(Construct):
    """Items by ``pk`` and ``sk``; the sparse index ``listing`` has those that an operator lists."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)

        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=_string("pk"),
            sort_key=_string("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expires_at",
            # Retained from its first second: CloudFormation could not delete a protected table in a
            # rollback anyway, and a generated name never collides with one that was left behind.
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.table.add_global_secondary_index(
            index_name=LISTING_INDEX,
            partition_key=_string("listing"),
            sort_key=_string("pk"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=list(LISTED_ATTRIBUTES),
        )

    def grant(self, grantee: iam.IGrantable, *actions: str) -> None:
        """Allow ``actions`` on the table's items, and nothing on the index."""
        grantee.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(actions=_named(actions), resources=[self.table.table_arn])
        )

    def grant_listing(self, grantee: iam.IGrantable) -> None:
        """Allow reading the index."""
        grantee.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(actions=_named(["Query"]), resources=[f"{self.table.table_arn}/index/{LISTING_INDEX}"])
        )


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _named(actions: "tuple[str, ...] | list[str]") -> list[str]:
    return [f"dynamodb:{action}" for action in actions]
