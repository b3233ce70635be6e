"""What a device's thing gets of its own: options of ``invite``, ``allow``, ``approve`` and ``set``, and their limits.

AWS IoT's patterns are checked where the options are read, the deployment's setting ``things`` when it is known.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.errors import Refused
from ledger import THING_MARK, ThingProfile
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
)

if TYPE_CHECKING:
    from fleet.deployment import Deployment


@dataclass(frozen=True, kw_only=True)
class ThingRules:
    """The deployment's setting ``things``, as far as it limits what one device's thing may get."""

    has_type: bool = False
    attributes: Collection[str] = ()  # the names that every thing gets
    groups: Collection[str] = ()  # that every thing joins
    usable_groups: Collection[str] = field(default=())

    @classmethod
    def of(cls, deployment: Deployment) -> ThingRules:
        """From the stack's output; there is none where the setting is not used."""
        things = json.loads(deployment.outputs.things or "{}")
        groups = things.get("groups", [])
        return cls(
            has_type="type" in things,
            attributes=tuple(things.get("attributes", {})),
            groups=tuple(groups),
            usable_groups=tuple(dict.fromkeys([*groups, *things.get("allowedGroups", [])])),
        )

    def check_groups(self, groups: Collection[str]) -> None:
        """Raise ``Refused`` for a group that neither the functions nor an operator may use."""
        for group in groups:
            if group not in self.usable_groups:
                choose = f"; or choose one of {', '.join(self.usable_groups)}" if self.usable_groups else ""
                raise Refused(
                    f"The setting things.allowedGroups of this deployment does not list the group {group!r}.",
                    cure=f"add it to zymkey-fleet.things.allowedGroups in cdk.json, and `cdk deploy --all`{choose}",
                )

    def check(self, profile: ThingProfile) -> None:
        """Raise ``Refused`` for more attributes or groups than a new thing of this deployment has room for."""
        check_attributes({*self.attributes, *profile.attributes}, has_type=self.has_type)
        groups = {*self.groups, *profile.groups}
        if len(groups) > MAX_GROUPS:
            raise Refused(
                f"The thing would be in {len(groups)} groups, but AWS IoT has room for {MAX_GROUPS}.",
                cure="use fewer, the setting things.groups counted",
            )


def check_attributes(names: Collection[str], *, has_type: bool) -> None:
    """Raise ``Refused`` for more attributes, beside the mark, than AWS IoT lets a thing have."""
    most = MAX_ATTRIBUTES if has_type else MAX_ATTRIBUTES_WITHOUT_TYPE
    if len(names) > most:
        without = "" if has_type else f"; with a thing type (setting things.type), for {MAX_ATTRIBUTES}"
        raise Refused(
            f"The thing would have {len(names)} attributes ({', '.join(sorted(names))}), but AWS IoT has room for "
            f"{most} beside the fleet's mark{without}.",
            cure="use fewer attributes, the setting things.attributes counted",
        )


def add_thing_options(parser: argparse.ArgumentParser) -> None:
    """For a device that is let in."""
    parser.add_argument(
        "--attribute",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=attribute,
        help="an attribute of the device's thing in AWS IoT, beside those of the setting things; repeatable",
    )
    parser.add_argument(
        "--group",
        metavar="GROUP",
        action="append",
        default=[],
        type=group,
        help="a thing group that the device's thing joins; the setting things.allowedGroups lists them; repeatable",
    )


def profile_of(arguments: argparse.Namespace, deployment: Deployment) -> ThingProfile | None:
    """What the options of ``add_thing_options`` say; None when none was given.

    Raises:
        Refused: the deployment does not list the group, or AWS IoT has no room for so much.
    """
    if not arguments.attribute and not arguments.group:
        return None
    rules = ThingRules.of(deployment)
    rules.check_groups(arguments.group)
    profile = ThingProfile(attributes=dict(arguments.attribute), groups=tuple(dict.fromkeys(arguments.group)))
    rules.check(profile)
    return profile


def attribute(text: str) -> tuple[str, str]:
    name, value = change(text)
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE: there is no value")
    return name, value


def change(text: str) -> tuple[str, str]:
    """An attribute with its value, which may be empty."""
    name, separator, value = text.partition("=")
    if not separator or not re.fullmatch(ATTRIBUTE_NAME, name):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE with {ATTRIBUTE_NAME_RULE}")
    if value and not re.fullmatch(ATTRIBUTE_VALUE, value):
        raise argparse.ArgumentTypeError(f"the value {value!r} of the attribute {name} is not {ATTRIBUTE_VALUE_RULE}")
    if name == THING_MARK:
        raise argparse.ArgumentTypeError(f"the attribute {THING_MARK} is the fleet's mark, and stays as it is")
    return name, value


def group(text: str) -> str:
    if not re.fullmatch(GROUP_NAME, text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a thing group, which is {GROUP_NAME_RULE}")
    return text


def shown_profile(profile: ThingProfile) -> Mapping[str, object]:
    """For an answer in JSON."""
    return {"attributes": dict(profile.attributes), "groups": list(profile.groups)}
