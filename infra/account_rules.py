"""Settings for accounts with rules of their own: tags, a permissions boundary, the names of logs, concurrency."""

import re
from typing import Any

from infra.fleet_tag import FLEET_TAG, SIGNS_TAG
from infra.setting_readers import SettingsError, a_text, a_whole_number, shown, wrong

# Of the 50 that a resource may have (AWS Tagging, limits), some are the stack's own and the fleet's.
_MOST_TAGS = 40
# What every service takes in a tag (AWS Tagging, naming limits).
_TAG_TEXT = r"[A-Za-z0-9 _.:/=+@-]"
_VENDED = "/aws/vendedlogs/"

_boundary = a_text(
    r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]{1,512}|[\w+=,.@-]{1,128}",
    "null, or the name or the ARN of a managed policy",
)
_log_group = a_text(
    rf"{_VENDED}[\w./#-]{{1,200}}", f"null, or a name that begins with {_VENDED} (letters, digits, and . - _ / #)"
)


def tags(where: str, value: Any) -> dict[str, str]:
    """Tags of both stacks, which CloudFormation gives to all that it makes."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise wrong(where, value, "an object of strings")
    if len(value) > _MOST_TAGS:
        raise SettingsError(f"{where} has {len(value)} tags, but a resource takes {_MOST_TAGS} of them.")
    for key, text in value.items():
        if not re.fullmatch(f"{_TAG_TEXT}{{1,128}}", key) or key.lower().startswith("aws:"):
            raise SettingsError(
                f"{where} has the key {shown(key)}, but a key has 1 to 128 letters, digits, spaces and _.:/=+@- and "
                "does not begin with aws:."
            )
        if not re.fullmatch(f"{_TAG_TEXT}{{0,256}}", text):
            raise wrong(f"{where}.{key}", text, "at most 256 letters, digits, spaces and _.:/=+@-")
        if key in (FLEET_TAG, SIGNS_TAG):
            raise SettingsError(f"{where}.{key} is a tag that permissions look at; its value is the fleet's name.")
    return dict(value)


def permissions_boundary(where: str, value: Any) -> str | None:
    """A managed policy that limits every role of both stacks."""
    return None if value is None else str(_boundary(where, value))


def access_log_group(where: str, value: Any) -> str | None:
    """The name of the HTTP API's log group; without one CloudFormation makes one up."""
    return None if value is None else str(_log_group(where, value))


def reserved_concurrency(where: str, value: Any) -> int | None:
    """How many requests are answered at once, at most and at any time."""
    return None if value is None else int(a_whole_number(1, 1000)(where, value))


def registrations_per_second(where: str, value: Any) -> int | None:
    """How many certificates AWS IoT registers in a second, where AWS has raised the account's quota."""
    return None if value is None else int(a_whole_number(1, 1000)(where, value))
