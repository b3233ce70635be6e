"""A device's thing in AWS IoT: the mark that says whose it is, and what one device's thing has that others have not.

Names, values and limits are those of AWS IoT (API reference, CreateThing and AddThingToThingGroup; quotas "maximum
number of thing attributes for a thing without a thing type" and "with a thing type", "maximum number of thing groups a
thing can belong to").
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

# The attribute whose value is the name of the fleet that the thing belongs to.
THING_MARK = "zymkey-fleet"

ATTRIBUTE_NAME = r"[a-zA-Z0-9_.,@/:#-]{1,128}"
ATTRIBUTE_NAME_RULE = "a name of 1 to 128 letters, digits and _.,@/:#-"
ATTRIBUTE_VALUE = r"[a-zA-Z0-9_.,@/:#=\[\]-]{1,800}"
ATTRIBUTE_VALUE_RULE = "1 to 800 letters, digits and _.,@/:#=[]-"
# Of a thing group, a thing type and a billing group.
GROUP_NAME = r"[a-zA-Z0-9:_-]{1,128}"
GROUP_NAME_RULE = "a name of 1 to 128 letters, digits and :_-"

# The mark takes one of AWS IoT's 3 and 50.
MAX_ATTRIBUTES_WITHOUT_TYPE = 2
MAX_ATTRIBUTES = 49
MAX_GROUPS = 10


@dataclass(frozen=True, kw_only=True)
class ThingProfile:
    """What the operator gave to one device's thing. The setting ``things`` has what every thing gets."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()

    @classmethod
    def decode(cls, text: str | None) -> ThingProfile:
        """From what a device's item holds; items of earlier releases hold nothing."""
        content = json.loads(text) if text else {}
        return cls(attributes=content.get("attributes", {}), groups=tuple(content.get("groups", ())))

    def encode(self) -> str | None:
        """As text, since an item holds no maps and lists; None when there is nothing to remember."""
        if not self.attributes and not self.groups:
            return None
        return json.dumps({"attributes": dict(self.attributes), "groups": list(self.groups)})

    def changed(
        self, *, attributes: Mapping[str, str], groups: Collection[str], no_groups: Collection[str]
    ) -> ThingProfile:
        """With these attributes (one with an empty value is taken away), these groups more and those fewer."""
        merged = {**self.attributes, **attributes}
        kept = (each for each in (*self.groups, *groups) if each not in no_groups)
        return ThingProfile(
            attributes={name: value for name, value in merged.items() if value}, groups=tuple(dict.fromkeys(kept))
        )
