"""The setting ``things``: what the thing of every new device gets in AWS IoT, beside the fleet's mark.

Type, groups and billing group have to exist: they belong to the account's registry, and may outlive a fleet. What an
operator gives to one device beside it (``zymkey-fleet invite --group``) is limited to groups that the settings name, so
that no policy has to allow all groups of the account. Patterns and limits are in ``ledger.thing``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.setting_readers import SettingsError, a_text, an_object, shown, wrong
from ledger.thing import (
    ATTRIBUTE_NAME,
    ATTRIBUTE_NAME_RULE,
    ATTRIBUTE_VALUE,
    ATTRIBUTE_VALUE_RULE,
    GROUP_NAME,
    GROUP_NAME_RULE,
    MAX_ATTRIBUTES,
    MAX_ATTRIBUTES_WITHOUT_TYPE,
    MAX_GROUPS,
    THING_MARK,
)

# The operator's policy names each group, and IAM takes 6,144 characters of it: all names together may have these.
MAX_GROUP_CHARACTERS = 512
MAX_ALLOWED_GROUPS = 20

_name = a_text(GROUP_NAME, GROUP_NAME_RULE)
_attribute_name = a_text(ATTRIBUTE_NAME, ATTRIBUTE_NAME_RULE)
_attribute_value = a_text(ATTRIBUTE_VALUE, ATTRIBUTE_VALUE_RULE)


@dataclass(frozen=True, kw_only=True)
class ThingSettings:
    """What every new thing gets; and ``allowed_groups``, which operators may choose for some."""

    type: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    allowed_groups: tuple[str, ...] = ()
    billing_group: str | None = None

    @property
    def usable_groups(self) -> tuple[str, ...]:
        """All that functions and operators may put a thing into."""
        return tuple(dict.fromkeys((*self.groups, *self.allowed_groups)))

    def document(self) -> dict[str, Any]:
        """What the functions and the operator's command read; what is not set is left out."""
        whole = {
            "type": self.type,
            "attributes": dict(self.attributes),
            "groups": list(self.groups),
            "allowedGroups": list(self.allowed_groups),
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
                "groups": ("groups", _groups(MAX_GROUPS)),
                "allowedGroups": ("allowed_groups", _groups(MAX_ALLOWED_GROUPS)),
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
    length = sum(len(each) for each in things.usable_groups)
    if length > MAX_GROUP_CHARACTERS:
        raise SettingsError(
            f"The names in {where}.groups and {where}.allowedGroups have {length} characters together, but the "
            f"operator's policy has room for {MAX_GROUP_CHARACTERS}: use fewer groups, or shorter names."
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


def _groups(most: int) -> Callable[[str, Any], tuple[str, ...]]:
    def read(where: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise wrong(where, value, f"a list of at most {most} thing groups")
        for position, name in enumerate(value):
            _name(f"{where}[{position}]", name)
        if len(set(value)) < len(value):
            raise SettingsError(f"{where} is {shown(value)}, but must name each group once.")
        return tuple(value)

    return read
