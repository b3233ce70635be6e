"""The setting ``things``: what the thing of every new device gets in AWS IoT, beside the fleet's mark.

Type, groups and billing group have to exist: they belong to the account's registry, and may outlive a fleet. Patterns
and limits are those of AWS IoT (API reference, CreateThing; quotas "maximum number of thing attributes for a thing
without a thing type" and "with a thing type", "maximum number of thing groups a thing can belong to").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.setting_readers import SettingsError, a_text, an_object, shown, wrong
from ledger import THING_MARK

# The mark takes one of 3 and 50.
MAX_ATTRIBUTES_WITHOUT_TYPE = 2
MAX_ATTRIBUTES = 49
MAX_GROUPS = 10

_name = a_text(r"[a-zA-Z0-9:_-]{1,128}", "a name of 1 to 128 letters, digits and :_-")
_attribute_name = a_text(r"[a-zA-Z0-9_.,@/:#-]{1,128}", "a name of 1 to 128 letters, digits and _.,@/:#-")
_attribute_value = a_text(r"[a-zA-Z0-9_.,@/:#=\[\]-]{1,800}", "1 to 800 letters, digits and _.,@/:#=[]-")


@dataclass(frozen=True, kw_only=True)
class ThingSettings:
    """What every new thing gets."""

    type: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    billing_group: str | None = None

    def document(self) -> dict[str, Any]:
        """What the functions read; what is not set is left out."""
        whole = {
            "type": self.type,
            "attributes": dict(self.attributes),
            "groups": list(self.groups),
            "billingGroup": self.billing_group,
        }
        return {name: value for name, value in whole.items() if value}


def read_things(where: str, value: Any) -> ThingSettings | None:
    """The setting ``things``."""
    if value is None:
        return None
    things = ThingSettings(
        **an_object(
            where,
            value,
            {
                "type": ("type", _name_or_null),
                "attributes": ("attributes", _attributes),
                "groups": ("groups", _groups),
                "billingGroup": ("billing_group", _name_or_null),
            },
        )
    )
    most = MAX_ATTRIBUTES if things.type else MAX_ATTRIBUTES_WITHOUT_TYPE
    if len(things.attributes) > most:
        without = "" if things.type else f"; with a type, {MAX_ATTRIBUTES}"
        raise SettingsError(
            f"{where}.attributes has {len(things.attributes)} attributes, but AWS IoT has room for {most} beside the "
            f"fleet's mark{without}."
        )
    return things


def _name_or_null(where: str, value: Any) -> str | None:
    return None if value is None else str(_name(where, value))


def _attributes(where: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise wrong(where, value, "an object of names and values")
    for name, content in value.items():
        _attribute_name(f"{where}: the name", name)
        _attribute_value(f"{where}.{name}", content)
    if THING_MARK in value:
        raise SettingsError(f"{where}.{THING_MARK} is the fleet's mark, and cannot be another attribute.")
    return dict(value)


def _groups(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_GROUPS:
        raise wrong(where, value, f"a list of at most {MAX_GROUPS} thing groups")
    for position, name in enumerate(value):
        _name(f"{where}[{position}]", name)
    if len(set(value)) < len(value):
        raise SettingsError(f"{where} is {shown(value)}, but must name each group once.")
    return tuple(value)
