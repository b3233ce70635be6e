"""Enrollment: a key claims its device, works for it under a lease, and gets its certificate."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any

from ledger.changes import Changes
from ledger.dynamodb import ConditionFailed, Item, Value
from ledger.errors import Blocked, Busy, LeaseLost, NotInvited, TokenExpired, TokenSpent
from ledger.items import certificate_item, device_from, device_key, key_key
from ledger.records import Certificate, CertificateState, Device, State

# As long as a token's hash, and none.
_NO_HASH = "-" * 64

_LEASE_IS_MINE = "#lease = :lease AND #state <> :blocked"


class Enrollment(Changes):
    """The changes of one enrollment, in their order. Each names the lease under which it is made."""

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
        same, thing = _unchanged("thing", known.thing)
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
            Blocked: the device is blocked.
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
        same_turn, before = _unchanged("turn", device.turn)
        # Or else it is a new one by now, which the device shall get, and not wait.
        same_certificate, current = _unchanged("certificate_id", device.certificate_id)
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

    def record_certificate(self, certificate: Certificate, *, lease: str, now: int) -> None:
        """Record a signed certificate before it is registered with AWS IoT, so that a repeat registers the same bytes.

        Raises:
            LeaseLost: another request has taken over, or has recorded a certificate already.
        """
        name = certificate.device
        try:
            self._table.write(
                self._table.update(
                    *device_key(name),
                    set={"unfinished": certificate.certificate_id, "updated_at": now},
                    condition=f"{_LEASE_IS_MINE} AND attribute_not_exists(#unfinished)",
                    lease=lease,
                    blocked=State.BLOCKED,
                ),
                self._table.put(certificate_item(certificate), condition="attribute_not_exists(#pk)"),
                self._event(name, now, "certificate signed", "enrollment", certificate.certificate_id),
            )
        except ConditionFailed:
            raise self._lease_lost(name) from None

    def make_current(self, certificate: Certificate, *, lease: str, now: int, known: Device | None = None) -> bool:
        """The certificate is registered and permitted: it is the device's own now, and the one before is superseded.

        Returns whether there was one before: whether this was a renewal.

        Args:
            known: the device as the lease found it; None to read it.

        Raises:
            LeaseLost: another request has taken over.
            Blocked: the operator has blocked the device meanwhile; the certificate must be deactivated.
        """
        name, new = certificate.device, certificate.certificate_id
        before = known or self._worked_for(name)
        same_certificate, current = _unchanged("certificate_id", before.certificate_id)
        old = before.certificate_id if before.certificate_id not in (None, new) else None
        superseded: Item = {"superseded": old, "superseded_at": now, "superseded_issued_by": before.issued_by}
        writes = [
            self._table.update(
                *device_key(name),
                set={
                    "state": State.ENROLLED,
                    "certificate_id": new,
                    "not_after": certificate.not_after,
                    "issued_by": certificate.issued_by,
                    "updated_at": now,
                    **(superseded if old else {}),
                },
                remove=("unfinished", "lease", "lease_until", "csr", "csr_at", "turn", "renew_asked_at"),
                condition=f"{_LEASE_IS_MINE} AND #unfinished = :id AND {same_certificate}",
                lease=lease,
                blocked=State.BLOCKED,
                id=new,
                **current,
            ),
            self._mark(name, new, CertificateState.ACTIVE, now),
            self._event(name, now, "renewed" if old else "enrolled", "enrollment", new),
        ]
        if old:
            writes.append(self._mark(name, old, CertificateState.SUPERSEDED, now))
        try:
            self._table.write(*writes)
        except ConditionFailed:
            raise self._lease_lost(name) from None
        return old is not None

    def abandon(self, certificate: Certificate, *, lease: str, now: int) -> None:
        """Give up an unfinished certificate, so that another can be signed.

        Raises:
            LeaseLost: another request has taken over.
        """
        name = certificate.device
        try:
            self._table.write(
                self._table.update(
                    *device_key(name),
                    set={"updated_at": now},
                    remove=("unfinished",),
                    condition=f"{_LEASE_IS_MINE} AND #unfinished = :id",
                    lease=lease,
                    blocked=State.BLOCKED,
                    id=certificate.certificate_id,
                ),
                self._mark(name, certificate.certificate_id, CertificateState.ABANDONED, now),
                self._event(name, now, "certificate abandoned", "enrollment", certificate.certificate_id),
            )
        except ConditionFailed:
            raise self._lease_lost(name) from None

    def queue_csr(self, name: str, *, csr: str, lease: str, now: int) -> None:
        """Keep a CSR (PEM) until a CA elsewhere has signed it, and end the lease: a person comes next.

        A device that asks again has often made a new CSR; it takes the old one's place, and is no news.

        Raises:
            LeaseLost: another request has taken over.
        """
        device = self._worked_for(name)
        if device.csr == csr:
            self.release(name, lease=lease)
            return
        try:
            self._table.write(
                self._table.update(
                    *device_key(name),
                    set={"csr": csr, "csr_at": device.csr_at or now, "updated_at": now},
                    remove=("lease", "lease_until"),
                    condition=_LEASE_IS_MINE,
                    lease=lease,
                    blocked=State.BLOCKED,
                ),
                *([] if device.csr else [self._event(name, now, "waits for a signature", "device")]),
            )
        except ConditionFailed:
            raise self._lease_lost(name) from None

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
            raise NotInvited(f"Device {name!r} has another key.")
        return device

    def _worked_for(self, name: str) -> Device:
        device = self.device(name)
        if device is None:
            raise LeaseLost(f"Device {name!r} was removed.")
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

    def _lease_lost(self, name: str) -> Exception:
        device = self.device(name)
        if device and device.state is State.BLOCKED:
            return Blocked(f"Device {name!r} is blocked.")
        return LeaseLost(f"Another request for device {name!r} has taken over.")


def _unchanged(name: str, value: Value | None) -> tuple[str, dict[str, Any]]:
    """The condition that an attribute is still what it was when it was read, and the value that it is held against."""
    if value is None:
        return f"attribute_not_exists(#{name})", {}
    return f"#{name} = :{name}_before", {f"{name}_before": value}
