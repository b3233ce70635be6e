"""Topic templates: which MQTT topics a device may use, written once for the whole fleet.

A template is a topic in which ``{device}`` stands for the device: its thing name over MQTT, its certificate's
common name or id over HTTPS. ``*`` as the last level means everything below, as in a policy document
(MQTT's own ``+`` and ``#`` are plain characters there, so they are refused rather than misunderstood).
"""

import re
from dataclasses import dataclass

DEVICE = "{device}"

_LEVEL = re.compile(r"[A-Za-z0-9_.:=@~-]+")
_MAX_SLASHES = 7  # AWS IoT quota "maximum number of slashes in topic and topic filter"


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Templates that a device may publish to and subscribe to."""

    publish: tuple[str, ...] = (f"devices/{DEVICE}/*",)
    subscribe: tuple[str, ...] = (f"devices/{DEVICE}/*",)


def template_problem(template: str) -> str | None:
    """What is wrong with ``template``, as the end of a sentence, or None.

    The rule that matters: a wildcard may only stand below ``{device}``, as a whole level. Anywhere else it
    would reach other devices' topics (``*`` in a policy also matches slashes).
    """
    levels = template.split("/")
    if len(levels) - 1 > _MAX_SLASHES:
        return f"must have at most {_MAX_SLASHES} slashes"
    if "*" in levels[:-1] or (levels[-1] == "*" and DEVICE not in levels):
        return f"may have * only as its last level, below a level that is {DEVICE}"
    if not all(level in (DEVICE, "*") or _LEVEL.fullmatch(level) for level in levels):
        return f"must consist of levels of letters, digits and _.:=@~- or {DEVICE}, and * as the last one"
    return None
