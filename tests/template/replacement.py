"""Which changes of a resource make CloudFormation put another one in its place: its provider's schemas say so."""

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

# A KMS key cannot change these (AWS KMS API reference, CreateKey); its schema does not say so.
KEPT_BY_KEYS = ["/properties/KeySpec", "/properties/KeyUsage", "/properties/Origin", "/properties/MultiRegion"]
# DynamoDB changes neither an index's keys nor what it projects (API reference, UpdateTable): the update would fail.
KEPT_BY_TABLES = ["/properties/KeySchema", "/properties/GlobalSecondaryIndexes", "/properties/LocalSecondaryIndexes"]
KEPT = {"AWS::KMS::Key": KEPT_BY_KEYS, "AWS::DynamoDB::Table": KEPT_BY_TABLES}


def replacing_properties(kind: str) -> list[str]:
    """The properties whose change makes CloudFormation put another resource in the old one's place, or give up."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    paths = [
        *schema.get("createOnlyProperties", []),
        *schema.get("conditionalCreateOnlyProperties", []),
        *KEPT.get(kind, []),
    ]
    return [path.removeprefix("/properties/") for path in paths]
