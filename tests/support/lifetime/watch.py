"""Sees each call to AWS IoT that can take a certificate's power away, before it happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

TAKES_POWER_AWAY = ("UpdateCertificate", "DeleteCertificate", "DetachPolicy", "DetachThingPrincipal", "DeleteThing")


class Watch:
    """``is_needed`` says of a certificate's id, or of a thing's name, whether a device needs it at this moment.

    Attributes:
        problems: what was taken from a device that needed it; stays empty.
        looks: how many calls were seen.
    """

    def __init__(self, is_needed: Callable[[str], bool]) -> None:
        self._is_needed = is_needed
        self.problems: list[str] = []
        self.looks = 0

    def look_at(self, *clients: Any) -> None:
        """Stand before these clients of AWS IoT, from now on."""
        for client in clients:
            for operation in TAKES_POWER_AWAY:
                client.meta.events.register(
                    f"before-parameter-build.iot.{operation}",
                    lambda params, operation=operation, **_: self._judge(operation, params),
                    unique_id=f"watch-{operation}",
                )

    def forget(self, *clients: Any) -> None:
        for client in clients:
            for operation in TAKES_POWER_AWAY:
                client.meta.events.unregister(f"before-parameter-build.iot.{operation}", unique_id=f"watch-{operation}")

    def _judge(self, operation: str, params: Mapping[str, str]) -> None:
        if params.get("newStatus") == "ACTIVE":
            return
        self.looks += 1
        principal = params.get("target") or params.get("principal") or ""
        of = params.get("certificateId") or principal.rpartition("/")[2] or params.get("thingName", "")
        if self._is_needed(of):
            self.problems.append(f"{operation} of {of}")
