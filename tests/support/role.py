"""The permissions of a function's role, held against each call that its code makes in a unit test.

The committed snapshots of the templates say what a role may do. The emulator of the unit tests checks no permissions,
so an action that only a rare path needs would be missed; with this, every test of the functions finds it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore import xform_name

from infra import bundle, service_models

_SNAPSHOTS = Path(__file__).parents[1] / "template" / "snapshots"

HTTP_API = "functions.handlers.http_api.handler"
FIRST_CONNECTION = "functions.handlers.first_connection.handler"
SEEN = "functions.handlers.seen.handler"
SWEEP = "functions.handlers.superseded.handler"
AUDIT = "functions.handlers.audit.handler"
MAKER = "functions.handlers.certificate_authority.handler"

_MEMBERS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


@functools.cache
def _bundled() -> frozenset[str]:
    """The names of the operations that the bundle's models have (``infra/service_models.py``)."""
    return service_models.names_in(path.read_text() for path in bundle.source_files())


class Denied(BaseException):
    """The role lacks an action. No ``Exception``: the functions answer those."""


@functools.cache
def granted(issuer: str, handler: str) -> frozenset[str]:
    """The actions of a handler's role; one on the index ``listing`` ends with ``/index``."""
    for stack in ("enrollment", "trust"):
        resources = json.loads((_SNAPSHOTS / f"{issuer}-{stack}.json").read_text())["Resources"]
        roles = [
            each["Properties"]["Role"]["Fn::GetAtt"][0]
            for each in resources.values()
            if each["Type"] == "AWS::Lambda::Function" and each["Properties"]["Handler"] == handler
        ]
        if roles:
            return frozenset(_actions(resources, roles[0]))
    raise LookupError(f"no function of the issuer {issuer} has the handler {handler}")


def _actions(resources: dict[str, Any], role: str) -> Iterator[str]:
    for resource in resources.values():
        if resource["Type"] != "AWS::IAM::Policy" or {"Ref": role} not in resource["Properties"]["Roles"]:
            continue
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            for target in _listed(statement["Resource"]):
                suffix = "/index" if "/index/" in json.dumps(target) else ""
                yield from (f"{action}{suffix}" for action in _listed(statement["Action"]))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class OfRole:
    """A boto3 client that makes only the calls that a role permits; another one raises ``Denied``."""

    def __init__(self, client: Any, permitted: frozenset[str]) -> None:
        self._client = client
        self._permitted = permitted

    def __getattr__(self, name: str) -> Any:
        operation = self._client.meta.method_to_api_mapping.get(name)
        attribute = getattr(self._client, name)
        if operation is None:
            return attribute

        def call(**request: Any) -> Any:
            self._check(operation, request)
            return attribute(**request)

        return call

    def get_paginator(self, name: str) -> _Pages:
        return _Pages(self, name)

    def _check(self, operation: str, request: dict[str, Any]) -> None:
        if xform_name(operation) not in _bundled():
            raise Denied(f"the bundle lacks {operation}: no source of the functions has its name")
        service = self._client.meta.service_model.service_name
        names = [operation]
        if operation == "TransactWriteItems":
            names = [_MEMBERS[member] for each in request["TransactItems"] for member in each]
        suffix = "/index" if "IndexName" in request else ""
        for name in names:
            if f"{service}:{name}{suffix}" not in self._permitted:
                raise Denied(f"the role lacks {service}:{name}{suffix}")


class _Pages:
    def __init__(self, client: OfRole, name: str) -> None:
        self._of_role = client
        self._name = name

    def paginate(self, **request: Any) -> Any:
        client = self._of_role._client
        self._of_role._check(client.meta.method_to_api_mapping[self._name], request)
        return client.get_paginator(self._name).paginate(**request)
