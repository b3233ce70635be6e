"""Topic templates: the topics that a device may use, written once for the whole fleet.

In a template ``{device}`` stands for the device: its thing name over MQTT, its certificate's common name or id over
HTTPS. ``{fleet}`` stands for the fleet's name, and is filled in before a template is used anywhere. ``*`` as the last
level means everything below, as in a policy document. MQTT's wildcards ``+`` and ``#`` are refused: a policy document
takes them as plain characters.
"""

import re
from dataclasses import dataclass

DEVICE = "{device}"
FLEET = "{fleet}"

_LEVEL = re.compile(r"[A-Za-z0-9_.:=@~-]+")
_MAX_SLASHES = 7  # AWS IoT quota "maximum number of slashes in topic and topic filter"


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Templates that a device may publish to and subscribe to."""

    publish: tuple[str, ...] = (f"devices/{DEVICE}/*",)
    subscribe: tuple[str, ...] = (f"devices/{DEVICE}/*",)

    def of_fleet(self, name: str) -> "Topics":
        """The same with the fleet's name in place of ``{fleet}``: devices know nothing of it."""
        publish, subscribe = (
            tuple(each.replace(FLEET, name) for each in templates) for templates in (self.publish, self.subscribe)
        )
        return Topics(publish=publish, subscribe=subscribe)


def template_problem(template: str) -> str | None:
    """What is wrong with ``template``, as the end of a sentence; None if nothing is.

    A wildcard is only allowed below ``{device}``, as a whole level. Elsewhere it would match topics of other devices:
    ``*`` in a policy also matches slashes.
    """
    levels = template.split("/")
    if len(levels) - 1 > _MAX_SLASHES:
        return f"must have at most {_MAX_SLASHES} slashes"
    if "*" in levels[:-1] or (levels[-1] == "*" and DEVICE not in levels):
        return f"may have * only as its last level, below a level {DEVICE}"
    if not all(level in (DEVICE, FLEET, "*") or _LEVEL.fullmatch(level) for level in levels):
        return (
            f"must consist of levels of letters, digits and _.:=@~-, of {DEVICE} and {FLEET}, "
            "and of * as the last level"
        )
    return None
