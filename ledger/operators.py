"""The operator lets devices in, and keeps them out."""

from __future__ import annotations

from ledger.changes import Changes
from ledger.dynamodb import ConditionFailed, Item
from ledger.errors import Busy, WrongState
from ledger.items import device_item, device_key, key_key
from ledger.records import Device, State
from ledger.thing import ThingProfile

# An expired invitation stays to be seen in the list for a month before DynamoDB deletes it.
INVITATION_LINGERS = 30 * 86_400

# The name is nobody's yet. One that was replaced is somebody's: ``replacement`` lets its next key in.
_FREE = (
    "attribute_not_exists(#pk) OR "
    "(#state = :invited AND attribute_not_exists(#fingerprint) AND attribute_not_exists(#replaced_at))"
)

# Why a device that is not enrolled cannot be asked for a renewal.
_NOT_RENEWED = {
    State.INVITED: "it has no certificate yet, and gets a new one anyway",
    State.PENDING: "it is getting its first certificate now",
    State.BLOCKED: "it gets no certificate",
}


class Operators(Changes):
    """Invitations, blocked devices, renewals that are asked for, and what a device's thing has of its own."""

    def invite(
        self,
        name: str,
        *,
        token_hash: str,
        token_expires: int,
        by: str,
        now: int,
        profile: ThingProfile | None = None,
    ) -> None:
        """Let in the first key that shows the token. A second invitation of the same name replaces the first.

        Args:
            profile: what the device's thing gets of its own; None for what an earlier invitation said, if there is one.

        Raises:
            WrongState: the device has a key already.
        """
        item = device_item(name, State.INVITED, now) | {
            "thing": self._encoded(profile, name),
            "token_hash": token_hash,
            "token_expires": token_expires,
            "expires_at": token_expires + INVITATION_LINGERS,
        }
        try:
            self._table.write(
                self._table.put(item, condition=_FREE, invited=State.INVITED),
                self._event(name, now, "invited", by, f"until {token_expires}"),
            )
        except ConditionFailed:
            raise self._name_is_taken(name) from None

    def allow(
        self,
        name: str,
        *,
        fingerprint: str,
        by: str,
        now: int,
        approved: bool = False,
        even_replaced: bool = False,
        profile: ThingProfile | None = None,
    ) -> None:
        """Let in one key, without any secret. Doing it twice is doing it once.

        Args:
            approved: the key waits for approval; its request is answered with this, and removed in the same write.
            even_replaced: also a key that was a device's until another one took its place: an operator names it.
            profile: what the device's thing gets of its own; None for what an earlier invitation said, if there is one.

        Raises:
            WrongState: the name belongs to another key, or no such key waits for approval; or the key was let in
                before, with another profile.
            KeyTaken: the key belongs to another name.
            Blocked: another key has taken the place of this one, and ``even_replaced`` is not given.
        """
        item = device_item(name, State.INVITED, now) | {
            "fingerprint": fingerprint,
            "thing": self._encoded(profile, name),
        }
        key = {"pk": key_key(fingerprint)[0], "sk": "key", "device": name}
        free_key = "attribute_not_exists(#pk)" + (" OR attribute_exists(#replaced_at)" if even_replaced else "")
        request = [self._table.delete("requests", fingerprint, condition="attribute_exists(#pk)")] if approved else []
        try:
            self._table.write(
                self._table.put(item, condition=_FREE, invited=State.INVITED),
                self._table.put(key, condition=free_key),
                self._event(name, now, "approved" if approved else "allowed", by, fingerprint),
                *request,
            )
        except ConditionFailed:
            would_allow = self.would_allow(
                name, fingerprint=fingerprint, approved=approved, even_replaced=even_replaced, profile=profile
            )
            if would_allow:
                raise Busy(1) from None
            self._table.write(self._table.delete("requests", fingerprint))

    def would_allow(
        self,
        name: str,
        *,
        fingerprint: str,
        approved: bool = False,
        even_replaced: bool = False,
        profile: ThingProfile | None = None,
    ) -> bool:
        """Whether ``allow`` would let this key in now; False when it has let it in already. Changes nothing.

        Raises:
            WrongState, KeyTaken, Blocked: as ``allow``.
        """
        device = self.device(name)
        if device and device.fingerprint == fingerprint and device.state is not State.BLOCKED:
            if profile not in (None, device.profile):
                raise WrongState(f"Device {name!r} has this key already, and its thing has other attributes or groups.")
            return False
        self._refuse_taken_key(fingerprint, name, even_replaced=even_replaced)
        if approved and self._table.get("requests", fingerprint) is None:
            raise WrongState(f"No key {fingerprint} waits for approval.")
        is_free = device is None or (device.state is State.INVITED and device.fingerprint is None)
        if not is_free or (device and device.waits_for_another_key):
            raise self._name_is_taken(name)
        return True

    def block(self, name: str, *, by: str, now: int) -> Device:
        """Refuse the device from now on. Its certificates are the caller's to deactivate, and to repeat until done.

        Doing it twice is doing it once, and costs one read. Returns the device as it is now.

        Raises:
            WrongState: there is no such device.
        """
        device = self._existing(name)
        if device.state is State.BLOCKED:
            return device
        try:
            self._table.write(
                self._table.update(
                    *device_key(name),
                    set={"state": State.BLOCKED, "updated_at": now},
                    copy={"blocked_from": "state"},
                    remove=("expires_at",),
                    condition="attribute_exists(#pk) AND #state <> :blocked",
                    blocked=State.BLOCKED,
                ),
                self._event(name, now, "blocked", by),
            )
        except ConditionFailed:
            if self._existing(name).state is not State.BLOCKED:
                raise Busy(1) from None
        return self._existing(name)

    def unblock(self, name: str, *, by: str, now: int) -> Device:
        """Let a blocked device be what it was. Doing it twice is doing it once, and costs one read.

        Raises:
            WrongState: there is no such device.
        """
        device = self._existing(name)
        if device.state is not State.BLOCKED:
            return device
        try:
            self._table.write(
                self._table.update(
                    *device_key(name),
                    set={"updated_at": now},
                    copy={"state": "blocked_from"},
                    remove=("blocked_from",),
                    condition="#state = :blocked",
                    blocked=State.BLOCKED,
                ),
                self._event(name, now, "unblocked", by),
            )
        except ConditionFailed:
            if self._existing(name).state is State.BLOCKED:
                raise Busy(1) from None
        return self._existing(name)

    def ask_for_renewal(self, name: str, *, by: str, now: int, force: bool = False) -> Device:
        """Have the device's next request answered with a new certificate, although its own is not due.

        Its certificate stays in use until then, and is superseded as by any renewal; so ``make_current`` forgets what
        was asked for. Doing it twice is doing it once, and costs one read. Returns the device as it is now.

        Args:
            force: ask again, although it was asked for, and forget how many certificates the key has had today.

        Raises:
            WrongState: there is no such device, or it is not enrolled.
        """
        device = self._existing(name)
        if device.state is State.ENROLLED and device.renew_asked_at is not None and not force:
            return device
        news = "" if force else " AND attribute_not_exists(#renew_asked_at)"
        try:
            self._table.write(
                self._table.update(
                    *device_key(name),
                    set={"renew_asked_at": now, "updated_at": now},
                    remove=("issued_on", "issued_count") if force else (),
                    condition=f"#state = :enrolled{news}",
                    enrolled=State.ENROLLED,
                ),
                self._event(name, now, "renewal asked for", by, "whatever the day's count" if force else ""),
            )
        except ConditionFailed:
            device = self._existing(name)
            if why_not := self.why_not_renewed(device):
                raise WrongState(why_not) from None
            if device.renew_asked_at is None:
                raise Busy(1) from None
            return device
        return self._existing(name)

    def why_not_renewed(self, device: Device) -> str | None:
        """What ``ask_for_renewal`` would say of the device as it is, in a sentence; None when it can be asked."""
        reason = _NOT_RENEWED.get(device.state)
        return None if reason is None else f"Device {device.name!r} is {device.state}: {reason}."

    def set_profile(self, name: str, profile: ThingProfile, *, before: ThingProfile, by: str, now: int) -> None:
        """Remember what a device's thing has of its own. Doing it twice is doing it once.

        Args:
            before: what the ledger remembered when the caller decided.

        Raises:
            WrongState: there is no such device.
            Busy: another operator was faster.
        """
        old, new = before.encode(), profile.encode()
        if old == new:
            return
        unchanged = "#thing = :old" if old else "attribute_exists(#pk) AND attribute_not_exists(#thing)"
        values: Item = {"old": old} if old else {}
        try:
            self._table.write(
                self._table.update(
                    *device_key(name),
                    set={"updated_at": now, **({"thing": new} if new else {})},
                    remove=() if new else ("thing",),
                    condition=unchanged,
                    **values,
                ),
                self._event(name, now, "thing changed", by, new or "nothing of its own"),
            )
        except ConditionFailed:
            self._existing(name)
            raise Busy(1) from None

    def note(self, name: str, what: str, *, by: str, detail: str, now: int) -> None:
        """Add a line to a device's history, and change nothing else."""
        self._table.write(self._event(name, now, what, by, detail))

    def _encoded(self, profile: ThingProfile | None, name: str) -> str | None:
        """A profile as an item holds it; for None the one that the device has."""
        if profile is not None:
            return profile.encode()
        device = self.device(name)
        return device.thing if device else None
