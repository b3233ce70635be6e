"""A resource of a policy's statement in a form that a test can write down."""

import json
from typing import Any


def shown(value: Any) -> str:
    """A resource as one string: an ARN with <…> for what CloudFormation fills in."""
    match value:
        case str():
            return value
        case {"Ref": name} if name.startswith("DevicePolicy"):
            return "<iot policy>"
        case {"Ref": name}:
            return f"<{name.removeprefix('AWS::')}>"
        case {"Fn::Join": ["", parts]}:
            return "".join(shown(part) for part in parts)
        case {"Fn::GetAtt": [name, "Arn"]} | {"Fn::GetStackOutput": {"OutputName": name}}:
            kinds = {"LedgerTable": "<table>", "Key": "<key>", "Logs": "<logs>", "Handler": "<handler>"}
            kinds |= {"DevicePolicy": "<iot policy>"}
            return next(kind for part, kind in kinds.items() if part in name)
        case _:
            raise AssertionError(f"no resource that is known here: {json.dumps(value)}")
