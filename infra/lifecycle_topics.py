"""The topics by which a device and its fleet speak of its certificate, beside those of the settings.

``confirm``  a device says over its new certificate that this works: the one before is switched off (``infra/seen.py``).
``renew``    a device hears that it shall renew, on the connection of its own program, if that subscribes.

The IoT policy allows ``confirm`` to the one certificate whose id is in the topic, so the topic alone proves who speaks.
Where the settings' topics leave no room in the policy, the fleet does without: ``renew`` goes first, for which a
device's timer does as well, then ``confirm``, without which the old certificate is switched off after
``renewalGraceDays``.
"""

from dataclasses import dataclass

CERTIFICATE = "{certificate}"
"""The certificate's id in AWS IoT: 64 hexadecimal digits."""


@dataclass(frozen=True, kw_only=True)
class LifecycleTopics:
    """Templates; None for one that the policy has no room for."""

    confirm: str | None = None
    renew: str | None = None

    def document(self) -> dict[str, str]:
        """As devices are told (``functions/configuration.py``)."""
        return {name: topic for name, topic in (("confirm", self.confirm), ("renew", self.renew)) if topic is not None}


def of_fleet(fleet: str) -> LifecycleTopics:
    """Both. Topics belong to the account, so the fleet's name keeps two of them apart."""
    return LifecycleTopics(confirm=f"zymkey/{fleet}/seen/{CERTIFICATE}", renew=f"zymkey/{fleet}/renew/{{device}}")
