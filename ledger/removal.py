"""The operator removes devices: names and keys are free again, certificates and history stay on record."""

from __future__ import annotations

from ledger.changes import Changes
from ledger.dynamodb import ConditionFailed
from ledger.errors import WrongState
from ledger.items import device_key, key_key
from ledger.records import IN_USE, Device, State


class Removal(Changes):
    """What is forgotten is the device, and its key with it. A key that it had before is blocked, and stays that."""

    def remove(self, name: str, *, by: str, now: int) -> None:
        """Forget a device, so that its name and its key are free again. Certificates and history stay on record.

        Raises:
            WrongState: it is pending or enrolled (block it first), or a certificate of it is still in use.
        """
        device = self._existing(name)
        if any(each.state in IN_USE for each in self.certificates(name)):
            raise WrongState(_has_certificate_in_use(device))
        key = [self._table.delete(*key_key(device.fingerprint))] if device.fingerprint else []
        same_key = "#fingerprint = :fingerprint" if device.fingerprint else "attribute_not_exists(#fingerprint)"
        values = {"fingerprint": device.fingerprint} if device.fingerprint else {}
        try:
            self._table.write(
                self._table.delete(
                    *device_key(name),
                    condition=f"#state IN (:invited, :blocked) AND {same_key}",
                    invited=State.INVITED,
                    blocked=State.BLOCKED,
                    **values,
                ),
                self._event(name, now, "removed", by, device.fingerprint or ""),
                *key,
            )
        except ConditionFailed:
            raise WrongState(_is_not_blocked(device)) from None

    def why_not_removed(self, device: Device) -> str | None:
        """What ``remove`` would say of the device as it is, in a sentence; None when it would remove it."""
        if any(each.state in IN_USE for each in self.certificates(device.name)):
            return _has_certificate_in_use(device)
        return None if device.state in (State.INVITED, State.BLOCKED) else _is_not_blocked(device)


def _has_certificate_in_use(device: Device) -> str:
    return f"Device {device.name!r} still has a certificate in use; block it first."


def _is_not_blocked(device: Device) -> str:
    return f"Device {device.name!r} is {device.state}; block it first."
