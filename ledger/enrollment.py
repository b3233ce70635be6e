"""Enrollment: a key claims its device, works for it under a lease, and gets its certificate."""

from __future__ import annotations

import hmac
from dataclasses import replace

from ledger.changes import Changes, unchanged
from ledger.dynamodb import ConditionFailed, Item
from ledger.errors import Busy, NotInvited, TokenExpired, TokenSpent
from ledger.items import device_from, device_key, key_key
from ledger.records import Device, State

# As long as a token's hash, and none.
_NO_HASH = "-" * 64


class Enrollment(Changes):
    """Who works for a device, and when: alone, and not before its turn."""

    def check_token(self, name: str, *, fingerprint: str, token_hash: str, now: int) -> Device:
        """Return the device, or say no to a token before anything is written for it. ``claim`` decides, in its write.

        One read and two comparisons, whatever is wrong: the time tells a stranger nothing.

        Raises:
            NotInvited, TokenExpired, TokenSpent, Blocked: as they say.
        """
        return self._refuse_token(self._table.get(*device_key(name)), name, fingerprint, token_hash, now)

    def claim(
        self,
        name: str,
        *,
        fingerprint: str,
        token_hash: str,
        lease: str,
        lease_until: int,
        now: int,
        turn: int | None = None,
        known: Device | None = None,
    ) -> Device:
        """Bind a device's token to the key that shows it, and begin to work for it. Returns the device as it is now.

        Args:
            known: the device as ``check_token`` has found it; None to ask it.
            lease_until: 0 for a device that has to wait for its turn: nobody works for it until then.
            turn: the turn that was taken for it (``ledger.turns``).

        Raises:
            NotInvited, TokenExpired, TokenSpent, KeyTaken, Blocked: as they say.
            Busy: the same key was faster, with another request, or an operator was.
        """
        known = known or self.check_token(name, fingerprint=fingerprint, token_hash=token_hash, now=now)
        # What else an operator may change meanwhile. So the device need not be read again to know what it is now.
        same, thing = unchanged("thing", known.thing)
        try:
            self._table.write(
                self._table.update(
                    *device_key(name),
                    set={
                        "state": State.PENDING,
                        "fingerprint": fingerprint,
                        "spent_token_hash": token_hash,
                        "lease": lease,
                        "lease_until": lease_until,
                        "updated_at": now,
                        **({} if turn is None else {"turn": turn}),
                    },
                    remove=("token_hash", "token_expires", "expires_at"),
                    condition=f"#state = :invited AND #token_hash = :token_hash AND #token_expires > :now AND {same}",
                    invited=State.INVITED,
                    token_hash=token_hash,
                    now=now,
                    **thing,
                ),
                self._table.put(
                    {"pk": key_key(fingerprint)[0], "sk": "key", "device": name},
                    condition="attribute_not_exists(#pk)",
                ),
                self._event(name, now, "claimed", "device", fingerprint),
            )
        except ConditionFailed:
            raise self._explain_claim(name, fingerprint, token_hash, now) from None
        return replace(
            known, state=State.PENDING, fingerprint=fingerprint, token_expires=None, updated_at=now, turn=turn
        )

    def acquire_lease(
        self,
        name: str,
        *,
        fingerprint: str,
        lease: str,
        lease_until: int,
        now: int,
        turn: int | None = None,
        known: Device | None = None,
    ) -> Device:
        """Begin to work for a known key, unless another request does. Returns the device as it is now.

        Args:
            known: the device as it was read a moment ago; None to read it.
            turn: the turn that was taken for it (``ledger.turns``); None for the one that it has, if it has one.

        Raises:
            Busy: another request holds the lease.
            Blocked: the device is blocked, or another key has taken this one's place.
            NotInvited: the device is gone, or has another key.
        """
        device = self._of_key(known or self.device(name), name, fingerprint)
        then = State.PENDING if device.state is State.INVITED else device.state
        try:
            item = self._table.write_alone(
                self._table.update(
                    *device_key(name),
                    set={
                        "state": then,
                        "lease": lease,
                        "lease_until": lease_until,
                        "updated_at": now,
                        **({} if turn is None else {"turn": turn}),
                    },
                    # The lease is free; or it is this request's, whose reply was lost on the way.
                    condition=(
                        "#fingerprint = :fingerprint AND ("
                        "(#state = :was AND (attribute_not_exists(#lease) OR #lease_until <= :now))"
                        " OR (#state = :then AND #lease = :lease))"
                    ),
                    was=device.state,
                    then=then,
                    fingerprint=fingerprint,
                    lease=lease,
                    now=now,
                )
            )
        except ConditionFailed:
            self._of_key(self.device(name), name, fingerprint)
            raise self._busy(name, now) from None
        return device_from(item)

    def keep_turn(self, device: Device, turn: int) -> None:
        """Remember the turn that was taken for a known key, and nothing else: nobody works for it until then.

        Raises:
            Busy: the device has changed since it was read, or another request has taken a turn for it.
        """
        same_turn, before = unchanged("turn", device.turn)
        # Or else it is a new one by now, which the device shall get, and not wait.
        same_certificate, current = unchanged("certificate_id", device.certificate_id)
        try:
            self._table.write_alone(
                self._table.update(
                    *device_key(device.name),
                    set={"turn": turn},
                    condition=(
                        "#state = :state AND #fingerprint = :fingerprint AND attribute_not_exists(#unfinished)"
                        f" AND {same_certificate} AND ({same_turn} OR #turn = :turn)"
                    ),
                    state=device.state,
                    fingerprint=device.fingerprint or "",
                    turn=turn,
                    **(before | current),
                )
            )
        except ConditionFailed:
            raise Busy(1) from None

    def release(self, name: str, *, lease: str) -> None:
        """Give the lease back. Does nothing when this request no longer has it."""
        try:
            self._table.write_alone(
                self._table.update(
                    *device_key(name),
                    set={"lease_until": 0},
                    condition="#lease = :lease",
                    lease=lease,
                )
            )
        except ConditionFailed:
            return

    # What a refusal means

    def _of_key(self, device: Device | None, name: str, fingerprint: str) -> Device:
        if device is None:
            raise NotInvited(f"There is no device {name!r} any more.")
        self._refuse_blocked(device)
        if device.fingerprint != fingerprint:
            self._refuse_taken_key(fingerprint, name)
            raise NotInvited(f"Device {name!r} has another key.")
        return device

    def _explain_claim(self, name: str, fingerprint: str, token_hash: str, now: int) -> Exception:
        item = self._table.get(*device_key(name))
        self._refuse_token(item, name, fingerprint, token_hash, now)
        if item and item.get("fingerprint") == fingerprint:
            return self._busy(name, now)
        self._refuse_taken_key(fingerprint, name)
        return Busy(1)

    def _refuse_token(self, item: Item | None, name: str, fingerprint: str, token_hash: str, now: int) -> Device:
        found = item or {}
        is_current = hmac.compare_digest(token_hash, found.get("token_hash", _NO_HASH))
        is_spent = hmac.compare_digest(token_hash, found.get("spent_token_hash", _NO_HASH))
        if item is None:
            raise NotInvited(f"There is no invitation for a device {name!r}.")
        if found.get("fingerprint") != fingerprint:  # or else another request of this key was faster
            if is_spent:
                raise TokenSpent("Another key has used this token.")
            if not is_current:
                raise NotInvited(f"This is not the token of device {name!r}.")
            if found["token_expires"] <= now:
                raise TokenExpired("This token has expired.")
        device = device_from(item)
        self._refuse_blocked(device)
        return device

    def _busy(self, name: str, now: int) -> Busy:
        item = self._table.get(*device_key(name)) or {}
        return Busy(max(1, item.get("lease_until", now) - now))
