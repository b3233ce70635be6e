"""What the changes of the ledger are made of: parts of a write, and what a refused one means."""

from __future__ import annotations

import secrets
import time
from typing import Any

from ledger.dynamodb import Value, Write
from ledger.errors import Blocked, Busy, KeyTaken, WrongState
from ledger.items import certificate_key, fields_of
from ledger.reading import Reading, replaced
from ledger.records import Certificate, CertificateState, Device, Event, State


class Changes(Reading):
    """What the kinds of changes share."""

    # What a refusal means

    def _existing(self, name: str) -> Device:
        device = self.device(name)
        if device is None:
            raise WrongState(f"There is no device {name!r}.")
        return device

    def _existing_certificate(self, name: str, certificate_id: str) -> Certificate:
        certificate = self.certificate(name, certificate_id)
        if certificate is None:
            raise WrongState(f"Device {name!r} never had a certificate {certificate_id}.")
        return certificate

    def _name_is_taken(self, name: str) -> WrongState | Busy:
        device = self.device(name)
        if device is None:
            return Busy(1)
        if device.waits_for_another_key:
            return WrongState(f"Device {name!r} is invited already, for a key that takes the place of the one it had.")
        key = f" with the key {device.fingerprint}" if device.fingerprint else ""
        return WrongState(f"Device {name!r} is {device.state} already{key}.")

    def _refuse_blocked(self, device: Device) -> None:
        if device.state is State.BLOCKED:
            raise Blocked(f"Device {device.name!r} is blocked.")

    def _refuse_taken_key(self, fingerprint: str, name: str, *, even_replaced: bool = False) -> None:
        """Say no to a key that is another device's, or that was replaced unless that does not matter."""
        owner = self.owner_of_key(fingerprint)
        if owner is None:
            return
        if owner.replaced_at is None and owner.device != name:
            raise KeyTaken(f"The key {fingerprint} belongs to another device, {owner.device!r}.")
        if owner.replaced_at is not None and not even_replaced:
            raise replaced(fingerprint, owner)

    # Parts of a write

    def _mark(self, name: str, certificate_id: str, state: CertificateState, now: int) -> Write:
        return self._table.update(
            *certificate_key(name, certificate_id),
            set={"state": state, "updated_at": now},
            condition="attribute_exists(#pk)",
        )

    def _event(self, name: str, now: int, what: str, by: str, detail: str = "") -> Write:
        event = Event(device=name, at=now, what=what, by=by, detail=detail)
        # Within a second the clock's nanoseconds keep the order, and the random part keeps two writers apart.
        moment = f"{now:010d}#{time.time_ns():020d}#{secrets.token_hex(2)}"
        return self._table.put({"pk": f"device#{name}", "sk": f"event#{moment}"} | fields_of(event))


def unchanged(name: str, value: Value | None) -> tuple[str, dict[str, Any]]:
    """The condition that an attribute is still what it was when it was read, and the value that it is held against."""
    if value is None:
        return f"attribute_not_exists(#{name})", {}
    return f"#{name} = :{name}_before", {f"{name}_before": value}
