"""Which changes of a resource make CloudFormation put another one in its place: its provider's schemas say so."""

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

# A KMS key cannot change these (AWS KMS API reference, CreateKey); its schema does not say so.
KEPT_BY_KEYS = ["/properties/KeySpec", "/properties/KeyUsage", "/properties/Origin", "/properties/MultiRegion"]


def replacing_properties(kind: str) -> list[str]:
    """The properties whose change makes CloudFormation put another resource in the old one's place."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    paths = [
        *schema.get("createOnlyProperties", []),
        *schema.get("conditionalCreateOnlyProperties", []),
        *(KEPT_BY_KEYS if kind == "AWS::KMS::Key" else []),
    ]
    return [path.removeprefix("/properties/") for path in paths]
