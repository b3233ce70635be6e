"""A ledger whose table is gone is made again under its name, as ``infra/ledger_table.py`` declares it.

So no deployment is needed: all that knows the table knows it by its name. A test holds this against the template.
"""

from __future__ import annotations

from typing import Any

from ledger import LISTED_ATTRIBUTES

_INDEX = "listing"


def exists(client: Any, table: str) -> bool:
    """Whether DynamoDB has the table. Calls dynamodb:DescribeTable."""
    try:
        client.describe_table(TableName=table)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True


def make(client: Any, table: str) -> None:
    """Make the table, and wait until it can be used. What an interruption left undone is done by doing it again.

    Calls dynamodb:CreateTable, DescribeTable, UpdateContinuousBackups and UpdateTimeToLive.
    """
    client.create_table(TableName=table, **definition())
    finish(client, table)


def finish(client: Any, table: str) -> None:
    """Wait until the table can be used, and switch on what cannot be said when it is made."""
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 2, "MaxAttempts": 150})
    client.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    described = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if described["TimeToLiveStatus"] == "DISABLED":
        client.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"AttributeName": "expires_at", "Enabled": True}
        )


def definition() -> dict[str, Any]:
    """What CreateTable is told, but for the name."""
    return {
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": True,
        "KeySchema": [_key("pk", "HASH"), _key("sk", "RANGE")],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "listing")],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": _INDEX,
                "KeySchema": [_key("listing", "HASH"), _key("pk", "RANGE")],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(LISTED_ATTRIBUTES)},
            }
        ],
    }


def _key(name: str, kind: str) -> dict[str, str]:
    return {"AttributeName": name, "KeyType": kind}
