"""What docs/permissions.md lists, made of the templates and of CloudFormation's own schemas.

``make snapshot`` writes it.
"""

import re
from collections.abc import Iterator
from typing import Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from tests.template.deployments import DEPLOYMENTS
from tests.template.synthesis import ROOT, Template, synthesize

DOCUMENT = ROOT / "docs" / "permissions.md"

_HANDLERS = ("create", "read", "update", "delete")
# A custom resource is a call of its function (CloudFormation User Guide); its type has no schema.
_CUSTOM = {"lambda:InvokeFunction"}
# No schema names them: CloudFormation reads templates and code from the bootstrap's bucket, and the outputs that
# Fn::GetStackOutput takes from the other stack.
_OF_THE_STACKS = {"cloudformation:DescribeStacks", "s3:GetObject"}
# Actions that a schema writes as no policy can have them.
_MISTAKES = {"s3:getObject": "s3:GetObject", "logs:PutBearerTokenAuthentication": None, "s3:REST.PUT.OBJECT": None}


def document() -> str:
    """The document with its two lists as they should be."""
    text = DOCUMENT.read_text()
    for name, lines in (("cloudformation", _by_type()), ("roles", _by_role())):
        begin, end = f"<!-- {name}: written by make snapshot -->", f"<!-- /{name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        text = pattern.sub(lambda _, lines=lines, begin=begin, end=end: "\n".join([begin, *lines, end]), text)
    return text


def types() -> set[str]:
    """The resource types of every deployment that the settings can make."""
    return {each["Type"] for template in _templates() for each in template.resources().values()}


def _templates() -> Iterator[Template]:
    for settings in DEPLOYMENTS.values():
        both = synthesize(**settings)
        yield from (both.trust, both.enrollment)


def _by_type() -> Iterator[str]:
    yield "| resource type | actions |"
    yield "|---|---|"
    yield f"| every stack | {_shown(_OF_THE_STACKS)} |"
    for kind in sorted(types()):
        yield f"| `{kind}` | {_shown(_actions(kind))} |"


def _actions(kind: str) -> set[str]:
    if kind.startswith("Custom::"):
        return _CUSTOM
    if kind == "AWS::CloudFormation::WaitConditionHandle":
        return set()  # CloudFormation's own, and nothing in any other service
    handlers: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
    named = {action for each in _HANDLERS for action in handlers.get(each, {}).get("permissions", [])}
    return {right for action in named if (right := _MISTAKES.get(action, action)) is not None}


def _by_role() -> Iterator[str]:
    yield "| role of | actions |"
    yield "|---|---|"
    roles: dict[str, set[str]] = {}
    for template in _templates():
        for name in template.resources("AWS::IAM::Role"):
            users = _users(template, name)
            for statement in template.statements_of_role(name):
                if statement["Effect"] == "Allow":
                    actions = statement["Action"]
                    roles.setdefault(users, set()).update([actions] if isinstance(actions, str) else actions)
    for users, actions in sorted(roles.items()):
        yield f"| {users} | {_shown(actions)} |"


def _users(template: Template, role: str) -> str:
    """The functions that have the role, or the service that takes it."""
    handlers = sorted(
        f"`{each['Properties']['Handler']}`"
        for each in template.resources("AWS::Lambda::Function").values()
        if each["Properties"]["Role"] == {"Fn::GetAtt": [role, "Arn"]}
    )
    if handlers:
        return ", ".join(handlers)
    (statement,) = template.resources()[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    return f"`{statement['Principal']['Service']}`"


def _shown(actions: set[str]) -> str:
    """Grouped by service: ``iot: A, B; kms: C``."""
    services: dict[str, list[str]] = {}
    for action in sorted(actions):
        service, _, name = action.partition(":")
        services.setdefault(service, []).append(name)
    return "; ".join(f"{service}: {', '.join(names)}" for service, names in services.items()) or "none"


def renew() -> None:
    DOCUMENT.write_text(document())
