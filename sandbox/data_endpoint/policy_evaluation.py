"""Would AWS IoT allow this? IoT policies, evaluated as the AWS IoT developer guide describes them.

Pure: documents and variables in, verdict out. The rules, from the guide's pages "AWS IoT Core policies",
"AWS IoT Core policy variables" and the IAM guide's "Policy evaluation logic":

- An explicit deny in any document wins; otherwise one allow is enough; otherwise the answer is no.
- In actions and resources ``*`` stands for any characters and ``?`` for one. ``+`` and ``#``, the wildcards of MQTT,
  are literal. Actions ignore case, resources do not.
- ``${name}`` is replaced by the connection's variable. A variable that the connection does not have, and a value
  that contains one of ``* $ + ? #``, is not substituted: such a resource or condition value matches nothing.
- ``$(*)``, ``$(?)`` and ``$($)``, written with braces, are those characters themselves.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

_UNSUBSTITUTABLE = set("*$+?#")
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_KNOWN_ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition"}


class UnsupportedPolicyError(ValueError):
    """The document uses something that is not evaluated here, so any verdict would be a guess."""


class Verdict(Enum):
    ALLOWED = "allowed"
    DENIED = "denied"
    NOT_ALLOWED = "not allowed"

    def __bool__(self) -> bool:
        return self is Verdict.ALLOWED


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing that a connection asks to do.

    ``action`` such as iot:Publish; ``resource`` its whole ARN; ``variables`` what is known of the connection, by policy
    variable name (iot:CertificateId). Names ignore case.
    """

    action: str
    resource: str
    variables: Mapping[str, str]


def evaluate(request: Request, documents: Sequence[str]) -> Verdict:
    """Judge ``request`` by all attached policy ``documents`` (JSON).

    Raises:
        UnsupportedPolicyError: a document has elements or condition operators that are not known here.
    """
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _statements(document)
        if _applies(statement, request)
    }
    if "Deny" in effects:
        return Verdict.DENIED
    return Verdict.ALLOWED if "Allow" in effects else Verdict.NOT_ALLOWED


def _statements(document: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = _as_list(json.loads(document)["Statement"])
    for statement in statements:
        if unknown := set(statement) - _KNOWN_ELEMENTS:
            raise UnsupportedPolicyError(f"policy element {', '.join(sorted(unknown))} is not evaluated here")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise UnsupportedPolicyError(f"effect {statement['Effect']!r} is neither Allow nor Deny")
    return statements


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        any(_matches(pattern.lower(), request.action.lower(), {}) for pattern in _as_list(statement["Action"]))
        and any(_matches(pattern, request.resource, request.variables) for pattern in _as_list(statement["Resource"]))
        and all(
            _condition_holds(operator, key, _as_list(expected), request.variables)
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def _condition_holds(operator: str, key: str, expected: Sequence[str], variables: Mapping[str, str]) -> bool:
    actual = _lookup(key, variables)
    negated = operator in ("StringNotEquals", "StringNotLike")
    if actual is None:
        # IAM guide, "Condition operators": an absent key fails a condition, and satisfies a negated one.
        return negated
    match operator:
        case "Bool":
            return any(actual.lower() == str(value).lower() for value in expected)
        case "StringEquals" | "StringNotEquals":
            return negated != any(_substituted(value, variables) == actual for value in expected)
        case "StringLike" | "StringNotLike":
            return negated != any(_matches(value, actual, variables) for value in expected)
        case _:
            raise UnsupportedPolicyError(f"condition operator {operator} is not evaluated here")


def _matches(pattern: str, value: str, variables: Mapping[str, str]) -> bool:
    """Whether ``value`` fits ``pattern``; a substituted value is matched literally."""
    expression = ""
    position = 0
    for variable in _VARIABLE.finditer(pattern):
        substitute = _substitute(variable[1], variables)
        if substitute is None:
            return False
        expression += _wildcards(pattern[position : variable.start()]) + re.escape(substitute)
        position = variable.end()
    expression += _wildcards(pattern[position:])
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _wildcards(text: str) -> str:
    return re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")


def _substituted(text: str, variables: Mapping[str, str]) -> str | None:
    result = ""
    position = 0
    for variable in _VARIABLE.finditer(text):
        substitute = _substitute(variable[1], variables)
        if substitute is None:
            return None
        result += text[position : variable.start()] + substitute
        position = variable.end()
    return result + text[position:]


def _substitute(name: str, variables: Mapping[str, str]) -> str | None:
    if name in ("*", "?", "$"):
        return name
    value = _lookup(name, variables)
    return None if value is None or _UNSUBSTITUTABLE & set(value) else value


def _lookup(name: str, variables: Mapping[str, str]) -> str | None:
    return next((value for known, value in variables.items() if known.lower() == name.lower()), None)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
