"""What is read from the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ledger.dynamodb import Table
from ledger.errors import Blocked
from ledger.items import certificate_from, certificate_key, device_from, device_key, key_key, read
from ledger.listing import EVERY_DEVICE, DeviceFilter
from ledger.records import Certificate, Device, Event, KeyOwner, Request

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Reading:
    """The reads. All but ``devices`` are strongly consistent."""

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client=client, name=table)

    def device(self, name: str) -> Device | None:
        item = self._table.get(*device_key(name))
        return device_from(item) if item else None

    def device_of_token(self, name: str, token_hash: str) -> Device | None:
        """The device, if this token is its invitation's, which may have expired, or is the one that it has used."""
        item = self._table.get(*device_key(name))
        tokens = (item.get("token_hash"), item.get("spent_token_hash")) if item else ()
        return device_from(item) if item and token_hash in tokens else None

    def device_of_key(self, fingerprint: str) -> Device | None:
        """The device that has this key, and may act in its name.

        Raises:
            Blocked: it was the device's until another key took its place.
        """
        owner = self.owner_of_key(fingerprint)
        device = self.device(owner.device) if owner else None
        # Between the two reads, too, it can be replaced.
        if owner and (owner.replaced_at is not None or (device and device.fingerprint != fingerprint)):
            raise replaced(fingerprint, owner)
        return device

    def owner_of_key(self, fingerprint: str) -> KeyOwner | None:
        """Which device has this key, or had it until another key took its place."""
        item = self._table.get(*key_key(fingerprint))
        return read(KeyOwner, item) if item else None

    def devices(self, which: DeviceFilter = EVERY_DEVICE, *, limit: int | None = None) -> Iterator[Device]:
        """Devices by name, through the index: a moment old, and without what ``records`` keeps out of it.

        They are read in pages of some thousands while they are used, so a fleet of any size needs little memory.

        Args:
            limit: the first this many.
        """
        if which.is_empty:
            return iter(())
        condition, values = which.condition
        items = self._table.listing("device", between=_keys(which), condition=condition, values=values, limit=limit)
        return (device_from(item) for item in items)

    def count_devices(self, which: DeviceFilter = EVERY_DEVICE) -> int:
        """How many devices there are; none of them is sent."""
        if which.is_empty:
            return 0
        condition, values = which.condition
        return self._table.count_listing("device", between=_keys(which), condition=condition, values=values)

    def certificate(self, name: str, certificate_id: str) -> Certificate | None:
        item = self._table.get(*certificate_key(name, certificate_id))
        return certificate_from(item) if item else None

    def certificates(self, name: str) -> list[Certificate]:
        """Each certificate that was ever issued to a device, oldest first."""
        items = self._table.query(f"device#{name}", prefix="certificate#")
        return sorted((certificate_from(item) for item in items), key=lambda each: (each.not_before, each.serial))

    def history(self, name: str) -> list[Event]:
        """What happened to a device, oldest first; also to one that was removed."""
        return [read(Event, item) for item in self._table.query(f"device#{name}", prefix="event#")]

    def requests(self) -> list[Request]:
        """The keys that wait for approval, and those that were rejected lately."""
        return [read(Request, item) for item in self._table.query("requests")]


def replaced(fingerprint: str, owner: KeyOwner) -> Blocked:
    return Blocked(f"The key {fingerprint} is blocked: another key has taken its place as device {owner.device!r}.")


def _keys(which: DeviceFilter) -> tuple[str, str] | None:
    """The range of partition keys; None for all of them."""
    if not (which.prefix or which.after or which.until):
        return None
    first, last = which.names
    return device_key(first)[0], device_key(last)[0]
