"""AWS IoT's role aliases, which the emulator lacks: put into its process before it starts.

The unmodified template declares an ``AWS::IoT::RoleAlias``; the emulator refuses resources that it does not know. The
credentials themselves come from its STS: ``AssumeRole`` with the tags ``credentials-iot:…``, which stand for the
context that AWS IoT's credential provider adds, and which policies of IAM name as variables.
"""

import dataclasses
import json
import re
from typing import Any
from urllib.parse import unquote

TYPE = "AWS::IoT::RoleAlias"
CONTEXT = "credentials-iot:"
"""Begins the names of policy variables, and of the session tags that carry them here."""

_PATH = "/role-aliases/"
_VARIABLE = re.compile(r"\$\{(credentials-iot:\w+)\}", re.IGNORECASE)

# By name: what DescribeRoleAlias returns. The sandbox's emulator has one account and Region.
_aliases: dict[str, dict[str, Any]] = {}


def install() -> None:
    """Teach the emulator in this process: the resource type, DescribeRoleAlias, and the variables of the sessions."""
    from ministack.core import iam_evaluator
    from ministack.services import iot
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "update": _update, "delete": _delete}

    route_request = iot._route_request

    async def route(method: str, path: str, *rest: Any) -> Any:
        if method == "GET" and path.startswith(_PATH):
            return _describe(unquote(path.removeprefix(_PATH)))
        return await route_request(method, path, *rest)

    iot._route_request = route

    resolve_principal = iam_evaluator.resolve_principal

    def resolve(*arguments: Any, **options: Any) -> Any:
        principal = resolve_principal(*arguments, **options)
        policies = getattr(principal, "policies", None) or []  # an error has none
        variables = _variables(principal.keys) if policies else {}
        if not variables:
            return principal
        filled = [[_filled(statement, variables) for statement in policy] for policy in policies]
        return dataclasses.replace(principal, policies=filled, keys=principal.keys | variables)

    iam_evaluator.resolve_principal = resolve

    trusts = iam_evaluator.evaluate_trust_policy

    def evaluate_trust_policy(document: Any, caller: str, context: Any = None) -> bool:
        # The tags are none on AWS, where no trust policy has to allow them.
        carried = context is not None and context.action == "sts:TagSession" and context.tag_keys
        if carried and caller.endswith(":root") and all(key.startswith(CONTEXT) for key in context.tag_keys):
            context = dataclasses.replace(context, action="sts:AssumeRole")
        return bool(trusts(document, caller, context))

    iam_evaluator.evaluate_trust_policy = evaluate_trust_policy


def _variables(keys: dict[str, Any]) -> dict[str, str]:
    """By name in lower case: names ignore case."""
    tags = {key.partition("/")[2]: value for key, value in keys.items() if key.startswith("aws:principaltag/")}
    return {name: value for name, value in tags.items() if name.startswith(CONTEXT)}


def _filled(statement: Any, variables: dict[str, str]) -> Any:
    """The emulator substitutes no policy variables. One without a value stays, and fits nothing that there is."""

    def fill(text: str) -> str:
        return _VARIABLE.sub(lambda found: variables.get(found[1].lower(), found[0]), text)

    return dataclasses.replace(
        statement,
        resources=[fill(resource) for resource in statement.resources],
        not_resources=[fill(resource) for resource in statement.not_resources],
        conditions=json.loads(fill(json.dumps(statement.conditions))),
    )


def _create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    name = properties.get("RoleAlias") or f"{stack}-{logical_id}"
    if name in _aliases:
        raise ValueError(f"Resource of type '{TYPE}' with identifier '{name}' already exists.")
    return _put(name, properties)


def _update(name: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    if new.get("RoleAlias", name) != name:
        raise ValueError(f"{TYPE}: another RoleAlias means another resource, which is not done here.")
    return _put(name, new)


def _put(name: str, properties: dict[str, Any]) -> tuple[str, dict[str, str]]:
    from ministack.core.responses import get_account_id, get_region

    arn = f"arn:aws:iot:{get_region()}:{get_account_id()}:rolealias/{name}"
    _aliases[name] = {
        "roleAlias": name,
        "roleAliasArn": arn,
        "roleArn": properties["RoleArn"],
        "owner": get_account_id(),
        "credentialDurationSeconds": int(properties.get("CredentialDurationSeconds", 3600)),
    }
    return name, {"RoleAliasArn": arn}


def _delete(name: str, properties: dict[str, Any]) -> None:
    _aliases.pop(name, None)


def _describe(name: str) -> tuple[int, dict[str, str], bytes]:
    headers = {"Content-Type": "application/json"}
    if name not in _aliases:
        error = "ResourceNotFoundException"
        body = {"__type": error, "message": f"The role alias {name} does not exist."}
        return 404, {**headers, "x-amzn-ErrorType": error}, json.dumps(body).encode()
    return 200, headers, json.dumps({"roleAliasDescription": _aliases[name]}).encode()
