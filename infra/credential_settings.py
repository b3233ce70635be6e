"""The setting ``credentials``: what the programs of devices may do in AWS."""

import json
from dataclasses import dataclass
from typing import Any

from infra.setting_readers import Reader, SettingsError, a_text, a_whole_number, an_object, shown, wrong

# CreateRoleAlias: credentialDurationSeconds.
SHORTEST_SECONDS, LONGEST_SECONDS = 900, 43200
# IAM quotas: managed policies of a role, by default; characters of all inline policies of a role, without white space.
MOST_MANAGED_POLICIES = 10
LONGEST_INLINE_POLICY = 10240

# IAM's policy elements, without those that a role's own policy cannot have.
_ELEMENTS = ("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")


@dataclass(frozen=True, kw_only=True)
class CredentialSettings:
    """``statements`` are as IAM writes them, for the role's own policy."""

    statements: tuple[dict[str, Any], ...] = ()
    managed_policy_arns: tuple[str, ...] = ()
    duration_seconds: int = 3600

    def document(self) -> dict[str, Any]:
        """The role's own policy."""
        return {"Version": "2012-10-17", "Statement": list(self.statements)}


def role_alias(fleet: str) -> str:
    """The name of the fleet's role alias: part of the URL that devices ask, so it has to outlive a deployment."""
    return f"{fleet}-device"


def read_credentials(where: str, value: Any) -> CredentialSettings | None:
    """Read the setting.

    Raises:
        SettingsError: a name or a value is not allowed, or the credentials would allow nothing.
    """
    if value is None:
        return None
    settings = CredentialSettings(**an_object(where, value, _READERS))
    if not settings.statements and not settings.managed_policy_arns:
        raise SettingsError(
            f"{where} has neither statements nor managedPolicyArns, but must have one of them: without, devices would "
            "get credentials that allow nothing."
        )
    if (length := len(json.dumps(settings.document(), separators=(",", ":")))) > LONGEST_INLINE_POLICY:
        raise SettingsError(
            f"{where}.statements makes a policy of {length} characters, but a role's own policy must have at most "
            f"{LONGEST_INLINE_POLICY}: write managed policies, and name them in {where}.managedPolicyArns."
        )
    return settings


def _statements(where: str, value: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(value, list):
        raise wrong(where, value, "a list of IAM policy statements")
    for position, statement in enumerate(value):
        _check_statement(f"{where}[{position}]", statement)
    return tuple(value)


def _check_statement(where: str, statement: Any) -> None:
    if not isinstance(statement, dict):
        raise wrong(where, statement, "an IAM policy statement: an object with Effect, Action and Resource")
    for name in statement:
        if name not in _ELEMENTS:
            raise SettingsError(f"{where}.{name} cannot be used: a statement here has {', '.join(_ELEMENTS)}.")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise wrong(f"{where}.Effect", statement.get("Effect"), "Allow or Deny")
    for positive, negative in (("Action", "NotAction"), ("Resource", "NotResource")):
        given = [name for name in (positive, negative) if name in statement]
        if len(given) != 1:
            raise SettingsError(
                f"{where} has {' and '.join(given) or 'no ' + positive}, but must have one of "
                f"{positive} and {negative}."
            )
        values = statement[given[0]]
        if not values or not all(isinstance(each, str) for each in (values if isinstance(values, list) else [values])):
            raise wrong(f"{where}.{given[0]}", values, "a string or a list of strings")


def _managed_policy_arns(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_MANAGED_POLICIES:
        raise wrong(where, value, f"a list of at most {MOST_MANAGED_POLICIES} ARNs of managed policies")
    an_arn = a_text(r"arn:[a-z-]+:iam::(?:aws|[0-9]{12}):policy/[\x21-\x7f]{1,512}", "the ARN of a managed policy")
    arns = tuple(an_arn(f"{where}[{position}]", arn) for position, arn in enumerate(value))
    if twice := next((arn for arn in arns if arns.count(arn) > 1), None):
        raise SettingsError(f"{where} has {shown(twice)} more than once.")
    return arns


_READERS: dict[str, tuple[str, Reader]] = {
    "statements": ("statements", _statements),
    "managedPolicyArns": ("managed_policy_arns", _managed_policy_arns),
    "durationSeconds": ("duration_seconds", a_whole_number(SHORTEST_SECONDS, LONGEST_SECONDS)),
}
