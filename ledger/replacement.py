"""Another key takes over a device's name: a board is broken, and another one is to be the same device.

What belongs to the name stays: thing, shadow, attributes, groups, history. What belonged to the old key goes in the one
write that lets the new one in: its certificates are out of use, a request of it that is under way can complete nothing,
and whatever it sends from then on is refused.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ledger.changes import Changes, unchanged
from ledger.dynamodb import MAX_WRITES, ConditionFailed, Item, Write
from ledger.errors import Busy, WrongState
from ledger.items import device_item, key_key
from ledger.records import IN_USE, CertificateState, Device, State

# While a request of the old key is at work, its device changes some times in a second.
_MOST_TRIES = 4
# Of the write, beside two for each certificate: the device, two keys, a request, two events.
_OTHER_WRITES = 6


class Replacement(Changes):
    """The certificates are the caller's to switch off in AWS IoT, and to repeat until done, as after ``block``."""

    def replace_by_token(self, name: str, *, token_hash: str, token_expires: int, by: str, now: int) -> Device:
        """Let in the first other key that shows the token. Again: a new token takes the place of the one before.

        The invitation stays when the token has expired: the device is not to be forgotten. Returns the device as it is.

        Raises:
            WrongState: there is no such device, or it never had a key.
            Busy: requests of the device were faster, again and again.
        """
        token = {"token_hash": token_hash, "token_expires": token_expires}
        return self._replace(name, token, ("invited", f"until {token_expires}"), by=by, now=now)

    def replace_by_key(self, name: str, *, fingerprint: str, by: str, now: int) -> Device:
        """Let in another key, without any secret: also one that was replaced before. Doing it twice is doing it once.

        Returns the device as it is: a second time it may have enrolled.

        Raises:
            WrongState: there is no such device, or it never had a key, or it has this one and nothing was replaced.
            KeyTaken: the key belongs to another name.
            Busy: requests of the device were faster, again and again.
        """
        return self._replace(name, {"fingerprint": fingerprint}, ("allowed", fingerprint), by=by, now=now)

    def would_replace(self, name: str, *, fingerprint: str | None = None) -> bool:
        """Whether one of the above would change the device as it is; False when it has been done. Changes nothing.

        Args:
            fingerprint: of the other key; None for a token.

        Raises:
            WrongState, KeyTaken: as they say.
        """
        return not self._is_done(self._existing(name), fingerprint)

    def _replace(self, name: str, way: Item, event: tuple[str, str], *, by: str, now: int) -> Device:
        fingerprint = way.get("fingerprint")
        for _ in range(_MOST_TRIES):
            device = self._existing(name)
            if self._is_done(device, fingerprint):
                return device
            with suppress(ConditionFailed):
                self._table.write(
                    *self._new_key(device, way, now),
                    *self._end_of_the_old_key(device, by, now),
                    self._event(name, now, event[0], by, event[1]),
                )
                return self._existing(name)
        raise Busy(1)

    def _is_done(self, device: Device, fingerprint: str | None) -> bool:
        if fingerprint is not None and device.fingerprint == fingerprint:
            if device.replaced_at is not None and device.state is not State.BLOCKED:
                return True
            raise self._name_is_taken(device.name)
        if device.fingerprint is None and device.replaced_at is None:
            raise WrongState(f"Device {device.name!r} is {device.state}, and has no key yet that could be replaced.")
        if fingerprint is not None:
            self._refuse_taken_key(fingerprint, device.name, even_replaced=True)
        return False

    def _new_key(self, device: Device, way: Item, now: int) -> list[Write]:
        """The device as for an invitation, if it is still what it was when it was read."""
        item = device_item(device.name, State.INVITED, now) | {
            "thing": device.thing,
            "replaced_at": now,
            "keeps_thing": True if device.keeps_thing or device.certificate_id is not None else None,
            **way,
        }
        conditions, values = ["#state = :state"], {"state": device.state}
        for attribute in ("fingerprint", "certificate_id", "unfinished", "thing", "replaced_at"):
            condition, value = unchanged(attribute, getattr(device, attribute))
            conditions.append(condition)
            values |= value
        writes = [self._table.put(item, condition=" AND ".join(conditions), **values)]
        if "fingerprint" in way:
            free = "attribute_not_exists(#pk) OR attribute_exists(#replaced_at)"
            key: dict[str, Any] = {"pk": key_key(way["fingerprint"])[0], "sk": "key", "device": device.name}
            writes += [self._table.put(key, condition=free), self._table.delete("requests", way["fingerprint"])]
        return writes

    def _end_of_the_old_key(self, device: Device, by: str, now: int) -> list[Write]:
        """The key is blocked, and its certificates are out of use: AWS IoT may accept them until it is told."""
        if device.fingerprint is None:
            return []
        name = device.name
        in_use = [each for each in self.certificates(name) if each.state in IN_USE]
        writes = [
            self._table.update(
                *key_key(device.fingerprint),
                set={"device": name, "replaced_at": now},
                condition="attribute_not_exists(#pk) OR #device = :name",
                name=name,
            ),
            self._event(name, now, "replaced", by, device.fingerprint),
        ]
        # Of more than forty, which no renewal leaves, the older ones are marked when they are switched off.
        for each in in_use[-((MAX_WRITES - _OTHER_WRITES) // 2) :]:
            writes += [
                self._mark(name, each.certificate_id, CertificateState.DEACTIVATED, now),
                self._event(name, now, "certificate deactivated", by, each.certificate_id),
            ]
        return writes
