"""Which resources each AWS action can be limited to: the Service Authorization Reference, as cfn-lint ships it."""

import functools
import json
import re
from importlib import resources
from typing import Any

from cfnlint.data import AdditionalSpecs


def resource_types(action: str) -> set[str]:
    """The resource types of an action such as ``iot:AttachPolicy``; empty if it can only be allowed on ``*``."""
    service, name = action.split(":")
    return set(_reference()[service]["Actions"][name.lower()].get("Resources", []))


def fits(action: str, resource: str) -> bool:
    """Whether an ARN (or a pattern of ARNs) is of a type that the action can be limited to."""
    service = action.split(":")[0]
    formats = (
        arn_format
        for resource_type in resource_types(action)
        for arn_format in _reference()[service]["Resources"][resource_type]["ARNFormats"]
    )
    # The reference writes arn:${Partition}:iot:${Region}:${Account}:cert/.*
    return any(re.fullmatch(re.sub(r"\$\{\w+\}", "[^:]*", arn_format), resource) for arn_format in formats)


@functools.cache
def _reference() -> dict[str, Any]:
    whole: dict[str, Any] = json.loads((resources.files(AdditionalSpecs) / "Policies.json").read_text())
    return whole
