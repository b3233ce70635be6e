"""The ledger: every item's shape and every condition, in one place.

One table, keys ``pk`` and ``sk`` (text). Times are whole seconds since 1970.

====================  =================  ==================================================================
pk                    sk                 what
====================  =================  ==================================================================
device#NAME           device             the device (``records.Device``); also in the index ``listing``
device#NAME           certificate#ID     each certificate that was ever issued to it; outlives the device
device#NAME           event#TIME         its history; outlives the device
key#FINGERPRINT       key                which device has this key: what makes keys unique
requests              FINGERPRINT        a key without an invitation, waiting for approval; expires
certificate-          certificate-       a CA made in KMS, made once and never changed; also in the index ``listing``
authority#KEY-ARN     authority
====================  =================  ==================================================================

A device's states, and what leads from one to the other:

========  ======================  =========  ===================================================================
from      by                      to         condition
========  ======================  =========  ===================================================================
(none)    invite, allow, approve  invited    the name is free; the key, where there is one, is free
invited   invite, allow, approve  invited    it has no key yet: a new token, or the key, takes the old token's place
invited   claim                   pending    the token is the current one and has not expired; the key is free
invited   acquire_lease           pending    the key is the one that was allowed
pending   acquire_lease           pending    no other request of this key is at work
enrolled  acquire_lease           enrolled   the same: a renewal, during which the old certificate stays current
pending   make_current            enrolled   the request still holds its lease
enrolled  make_current            enrolled   the same; the old certificate is superseded
any       block                   blocked    it is not blocked
blocked   unblock                 as before
invited   remove                  (none)
blocked   remove                  (none)     its certificates are all out of use
========  ======================  =========  ===================================================================

Every other pair is refused with an error of ``ledger.errors``. A request works under a *lease*: a random id and a
time, so that of two simultaneous requests for one key one works, and a crashed one is taken over when its time is
up. Conditions are checked by DynamoDB, never by reading first; what is read after a refusal only explains it.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from ledger.dynamodb import MAX_WRITES, ConditionFailed, Item, Table, Write
from ledger.errors import (
    Blocked,
    Busy,
    KeyTaken,
    LeaseLost,
    NotInvited,
    RequestsFull,
    TokenExpired,
    TokenSpent,
    WrongState,
)
from ledger.records import (
    Certificate,
    CertificateAuthority,
    CertificateState,
    Device,
    Event,
    Request,
    State,
)
from ledger.thing import ThingProfile

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# An expired invitation stays to be seen in the list for a month before DynamoDB deletes it.
INVITATION_LINGERS = 30 * 86_400
# What strangers can make the table hold: so many keys, for so long; and one of them alone, so that the others can ask.
# Keys that ask at the same moment are counted without each other: API Gateway's burst is how many that may be.
MAX_REQUESTS = 200
MAX_REQUESTS_OF_SOURCE = 25
# With those that were rejected, which are read as well whenever an unknown key asks.
MAX_KEPT_REQUESTS = 1000
MAX_KEPT_REQUESTS_OF_SOURCE = 100
REQUEST_LIFE = 7 * 86_400

_Record = TypeVar("_Record", Device, Certificate, Request, Event, CertificateAuthority)

# As long as a token's hash, and none.
_NO_HASH = "-" * 64

_LEASE_IS_MINE = "#lease = :lease AND #state <> :blocked"


class Ledger:
    """The ledger of one deployment.

    Every method that writes either does all it says, or raises a ``LedgerError`` and does nothing. Any method may
    also raise ``botocore.exceptions.ClientError`` or ``BotoCoreError`` when AWS does not answer or refuses.
    """

    def __init__(self, *, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client=client, name=table)

    # Reading

    def device(self, name: str) -> Device | None:
        item = self._table.get(*_device_key(name))
        return _device(item) if item else None

    def device_of_key(self, fingerprint: str) -> Device | None:
        """The device that has this key."""
        item = self._table.get(*_key_key(fingerprint))
        return self.device(item["device"]) if item else None

    def devices(self) -> Iterator[Device]:
        """All devices by name, through the index: a moment old, and without CSRs."""
        return (_device(item) for item in self._table.listing("device"))

    def certificate(self, name: str, certificate_id: str) -> Certificate | None:
        item = self._table.get(*_certificate_key(name, certificate_id))
        return _certificate(item) if item else None

    def certificates(self, name: str) -> list[Certificate]:
        """Each certificate that was ever issued to a device, oldest first."""
        items = self._table.query(f"device#{name}", prefix="certificate#")
        return sorted((_certificate(item) for item in items), key=lambda each: (each.not_before, each.serial))

    def history(self, name: str) -> list[Event]:
        """What happened to a device, oldest first; also to one that was removed."""
        return [_read(Event, item) for item in self._table.query(f"device#{name}", prefix="event#")]

    def requests(self) -> list[Request]:
        """The keys that wait for approval, and those that were rejected lately."""
        return [_read(Request, item) for item in self._table.query("requests")]

    # The operator lets devices in, and keeps them out

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
        item = _device_item(name, State.INVITED, now) | {
            "thing": self._encoded(profile, name),
            "token_hash": token_hash,
            "token_expires": token_expires,
            "expires_at": token_expires + INVITATION_LINGERS,
        }
        free = "attribute_not_exists(#pk) OR (#state = :invited AND attribute_not_exists(#fingerprint))"
        try:
            self._table.write(
                self._table.put(item, condition=free, invited=State.INVITED),
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
        profile: ThingProfile | None = None,
    ) -> None:
        """Let in one key, without any secret. Doing it twice is doing it once.

        Args:
            approved: the key waits for approval; its request is answered with this, and removed in the same write.
            profile: what the device's thing gets of its own; None for what an earlier invitation said, if there is one.

        Raises:
            WrongState: the name belongs to another key, or no such key waits for approval; or the key was let in
                before, with another profile.
            KeyTaken: the key belongs to another name.
        """
        item = _device_item(name, State.INVITED, now) | {
            "fingerprint": fingerprint,
            "thing": self._encoded(profile, name),
        }
        free = "attribute_not_exists(#pk) OR (#state = :invited AND attribute_not_exists(#fingerprint))"
        key = {"pk": _key_key(fingerprint)[0], "sk": "key", "device": name}
        request = [self._table.delete("requests", fingerprint, condition="attribute_exists(#pk)")] if approved else []
        try:
            self._table.write(
                self._table.put(item, condition=free, invited=State.INVITED),
                self._table.put(key, condition="attribute_not_exists(#pk)"),
                self._event(name, now, "approved" if approved else "allowed", by, fingerprint),
                *request,
            )
        except ConditionFailed:
            device = self.device(name)
            if device and device.fingerprint == fingerprint and device.state is not State.BLOCKED:
                if profile not in (None, device.profile):
                    raise WrongState(
                        f"Device {name!r} has this key already, and its thing has other attributes or groups."
                    ) from None
                self._table.write(self._table.delete("requests", fingerprint))
                return
            self._refuse_taken_key(fingerprint, name)
            if approved and self._table.get("requests", fingerprint) is None:
                raise WrongState(f"No key {fingerprint} waits for approval.") from None
            raise self._name_is_taken(name) from None

    def block(self, name: str, *, by: str, now: int) -> Device:
        """Refuse the device from now on. Its certificates are the caller's to deactivate, and to repeat until done.

        Doing it twice is doing it once. Returns the device as it is now.

        Raises:
            WrongState: there is no such device.
        """
        try:
            self._table.write(
                self._table.update(
                    *_device_key(name),
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
        """Let a blocked device be what it was. Doing it twice is doing it once.

        Raises:
            WrongState: there is no such device.
        """
        try:
            self._table.write(
                self._table.update(
                    *_device_key(name),
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
                    *_device_key(name),
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

    def remove(self, name: str, *, by: str, now: int) -> None:
        """Forget a device, so that its name and its key are free again. Certificates and history stay on record.

        Raises:
            WrongState: it is pending or enrolled (block it first), or a certificate of it is still in use.
        """
        device = self._existing(name)
        in_use = (CertificateState.RECORDED, CertificateState.ACTIVE, CertificateState.SUPERSEDED)
        if any(each.state in in_use for each in self.certificates(name)):
            raise WrongState(f"Device {name!r} still has a certificate in use; block it first.")
        key = [self._table.delete(*_key_key(device.fingerprint))] if device.fingerprint else []
        same_key = "#fingerprint = :fingerprint" if device.fingerprint else "attribute_not_exists(#fingerprint)"
        values = {"fingerprint": device.fingerprint} if device.fingerprint else {}
        try:
            self._table.write(
                self._table.delete(
                    *_device_key(name),
                    condition=f"#state IN (:invited, :blocked) AND {same_key}",
                    invited=State.INVITED,
                    blocked=State.BLOCKED,
                    **values,
                ),
                self._event(name, now, "removed", by, device.fingerprint or ""),
                *key,
            )
        except ConditionFailed:
            raise WrongState(f"Device {name!r} is {device.state}; block it first.") from None

    def erase(self, name: str) -> None:
        """Forget all about a device, its certificates and its history as well. For devices made to be thrown away.

        Doing it twice is doing it once.
        """
        device = self.device(name)
        key = [self._table.delete(*_key_key(device.fingerprint))] if device and device.fingerprint else []
        # The device comes first, and with its key: what an interruption leaves is found under its name again.
        rest = [item["sk"] for item in self._table.query(f"device#{name}") if item["sk"] != "device"]
        writes = [
            *key,
            self._table.delete(*_device_key(name)),
            *(self._table.delete(f"device#{name}", sk) for sk in rest),
        ]
        for start in range(0, len(writes), MAX_WRITES):
            self._table.write(*writes[start : start + MAX_WRITES])

    # Keys without an invitation

    def hold_for_approval(self, *, fingerprint: str, suggested_name: str, now: int, source: str = "") -> Request:
        """Remember a key until the operator decides. Asking again changes nothing, so it grows no older than it is.

        Args:
            source: the address or the network that asks; each has its own share of what may wait. Without one,
                there is only the limit of all.

        Raises:
            Blocked: the operator has rejected this key.
            RequestsFull: ``MAX_REQUESTS`` keys wait already, or ``MAX_REQUESTS_OF_SOURCE`` of this source; or so many
                of it were rejected that it has no share of ``MAX_KEPT_REQUESTS`` left.
            Busy: another request of the same key was faster.
        """
        requests = {each.fingerprint: each for each in self.requests() if each.expires_at > now}
        known = requests.get(fingerprint)
        if known and known.rejected:
            raise Blocked("The operator has rejected this key.")
        if known:
            return known
        _refuse_full(requests.values(), source)
        request = Request(
            fingerprint=fingerprint,
            suggested_name=suggested_name,
            requested_at=now,
            expires_at=now + REQUEST_LIFE,
            source=source,
        )
        try:
            self._table.write(
                self._table.put(
                    {"pk": "requests", "sk": fingerprint} | _fields(request),
                    condition="attribute_not_exists(#pk) OR #expires_at <= :now",
                    now=now,
                )
            )
        except ConditionFailed:
            raise Busy(1) from None
        return request

    def reject(self, fingerprint: str, *, now: int) -> None:
        """Refuse a key that waits, until its request would have expired anyway.

        Raises:
            WrongState: no such key waits.
        """
        try:
            self._table.write(self._rejection(fingerprint, now))
        except ConditionFailed:
            raise WrongState(f"No key {fingerprint} waits for approval.") from None

    def reject_all(self, fingerprints: Iterable[str], *, now: int) -> list[str]:
        """Refuse many keys that wait, in few writes. Returns those that are refused now; one that is gone is not.

        Doing it twice is doing it once, also after an interruption.
        """
        chosen = set(fingerprints)
        waiting = [each.fingerprint for each in self.requests() if each.fingerprint in chosen]
        done: list[str] = []
        for start in range(0, len(waiting), MAX_WRITES):
            batch = waiting[start : start + MAX_WRITES]
            try:
                self._table.write(*(self._rejection(each, now) for each in batch))
                done += batch
            except ConditionFailed:  # one of them was decided on meanwhile
                done += [each for each in batch if self._reject_if_waiting(each, now)]
        return done

    # Enrollment

    def check_token(self, name: str, *, fingerprint: str, token_hash: str, now: int) -> None:
        """Say no to a token before anything is written for it. ``claim`` decides, in its one write.

        One read and two comparisons, whatever is wrong: the time tells a stranger nothing.

        Raises:
            NotInvited, TokenExpired, TokenSpent, Blocked: as they say.
        """
        self._refuse_token(self._table.get(*_device_key(name)), name, fingerprint, token_hash, now)

    def claim(self, name: str, *, fingerprint: str, token_hash: str, lease: str, lease_until: int, now: int) -> Device:
        """Bind a device's token to the key that shows it, and begin to work for it.

        Raises:
            NotInvited, TokenExpired, TokenSpent, KeyTaken, Blocked: as they say.
            Busy: the same key was faster, with another request.
        """
        try:
            self._table.write(
                self._table.update(
                    *_device_key(name),
                    set={
                        "state": State.PENDING,
                        "fingerprint": fingerprint,
                        "spent_token_hash": token_hash,
                        "lease": lease,
                        "lease_until": lease_until,
                        "updated_at": now,
                    },
                    remove=("token_hash", "token_expires", "expires_at"),
                    condition="#state = :invited AND #token_hash = :token_hash AND #token_expires > :now",
                    invited=State.INVITED,
                    token_hash=token_hash,
                    now=now,
                ),
                self._table.put(
                    {"pk": _key_key(fingerprint)[0], "sk": "key", "device": name},
                    condition="attribute_not_exists(#pk)",
                ),
                self._event(name, now, "claimed", "device", fingerprint),
            )
        except ConditionFailed:
            raise self._explain_claim(name, fingerprint, token_hash, now) from None
        return self._existing(name)

    def acquire_lease(self, name: str, *, fingerprint: str, lease: str, lease_until: int, now: int) -> Device:
        """Begin to work for a known key, unless another request does.

        Raises:
            Busy: another request holds the lease.
            Blocked: the device is blocked.
            NotInvited: the device is gone, or has another key.
        """
        device = self.device(name)
        if device is None:
            raise NotInvited(f"There is no device {name!r} any more.")
        self._refuse_blocked(device)
        if device.fingerprint != fingerprint:
            raise NotInvited(f"Device {name!r} has another key.")
        then = State.PENDING if device.state is State.INVITED else device.state
        try:
            self._table.write(
                self._table.update(
                    *_device_key(name),
                    set={"state": then, "lease": lease, "lease_until": lease_until, "updated_at": now},
                    condition=(
                        "#state = :was AND #fingerprint = :fingerprint"
                        " AND (attribute_not_exists(#lease) OR #lease_until <= :now)"
                    ),
                    was=device.state,
                    fingerprint=fingerprint,
                    now=now,
                )
            )
        except ConditionFailed:
            self._refuse_blocked(self._existing(name))
            raise self._busy(name, now) from None
        return self._existing(name)

    def record_certificate(self, certificate: Certificate, *, lease: str, now: int) -> None:
        """Record a signed certificate before it is registered with AWS IoT, so that a repeat registers the same bytes.

        Raises:
            LeaseLost: another request has taken over, or has recorded a certificate already.
        """
        name = certificate.device
        try:
            self._table.write(
                self._table.update(
                    *_device_key(name),
                    set={"unfinished": certificate.certificate_id, "updated_at": now},
                    condition=f"{_LEASE_IS_MINE} AND attribute_not_exists(#unfinished)",
                    lease=lease,
                    blocked=State.BLOCKED,
                ),
                self._table.put(_certificate_item(certificate), condition="attribute_not_exists(#pk)"),
                self._event(name, now, "certificate signed", "enrollment", certificate.certificate_id),
            )
        except ConditionFailed:
            raise self._lease_lost(name) from None

    def make_current(self, certificate: Certificate, *, lease: str, now: int) -> bool:
        """The certificate is registered and permitted: it is the device's own now, and the one before is superseded.

        Returns whether there was one before: whether this was a renewal.

        Raises:
            LeaseLost: another request has taken over.
            Blocked: the operator has blocked the device meanwhile; the certificate must be deactivated.
        """
        name, new = certificate.device, certificate.certificate_id
        before = self._worked_for(name)
        old = before.certificate_id if before.certificate_id not in (None, new) else None
        superseded: Item = {"superseded": old, "superseded_at": now, "superseded_issued_by": before.issued_by}
        writes = [
            self._table.update(
                *_device_key(name),
                set={
                    "state": State.ENROLLED,
                    "certificate_id": new,
                    "not_after": certificate.not_after,
                    "issued_by": certificate.issued_by,
                    "updated_at": now,
                    **(superseded if old else {}),
                },
                remove=("unfinished", "lease", "lease_until", "csr", "csr_at"),
                condition=f"{_LEASE_IS_MINE} AND #unfinished = :id",
                lease=lease,
                blocked=State.BLOCKED,
                id=new,
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
                    *_device_key(name),
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
                    *_device_key(name),
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
            self._table.write(
                self._table.update(
                    *_device_key(name),
                    set={"lease_until": 0},
                    condition="#lease = :lease",
                    lease=lease,
                )
            )
        except ConditionFailed:
            return

    def deactivated(self, name: str, certificate_id: str, *, by: str, now: int) -> None:
        """Record that AWS IoT no longer accepts a certificate. Doing it twice is doing it once.

        Raises:
            WrongState: the ledger knows no such certificate.
        """
        certificate = self._existing_certificate(name, certificate_id)
        device = self.device(name)
        writes = []
        if certificate.state is not CertificateState.DEACTIVATED:
            writes += [
                self._mark(name, certificate_id, CertificateState.DEACTIVATED, now),
                self._event(name, now, "certificate deactivated", by, certificate_id),
            ]
        if device and device.superseded == certificate_id:
            writes.append(
                self._table.update(
                    *_device_key(name),
                    set={"updated_at": now},
                    remove=("superseded", "superseded_at", "superseded_issued_by"),
                    condition="#superseded = :id",
                    id=certificate_id,
                )
            )
        if writes:
            try:
                self._table.write(*writes)
            except ConditionFailed:
                raise Busy(1) from None

    def reactivated(self, name: str, certificate_id: str, *, by: str, now: int) -> None:
        """Record that AWS IoT accepts a device's current certificate again.

        Raises:
            Blocked: the device is blocked; the certificate must be deactivated again.
            WrongState: it is not the device's current certificate.
        """
        try:
            self._table.write(
                self._table.check(
                    *_device_key(name),
                    condition="#certificate_id = :id AND #state <> :blocked",
                    id=certificate_id,
                    blocked=State.BLOCKED,
                ),
                self._mark(name, certificate_id, CertificateState.ACTIVE, now),
                self._event(name, now, "certificate reactivated", by, certificate_id),
            )
        except ConditionFailed:
            device = self._existing(name)
            self._refuse_blocked(device)
            if device.certificate_id != certificate_id:
                raise WrongState(f"Device {name!r} has another certificate by now.") from None
            raise Busy(1) from None

    # The CA in KMS

    def certificate_authority(self, key_arn: str) -> CertificateAuthority | None:
        item = self._table.get(*_authority_key(key_arn))
        return _read(CertificateAuthority, item) if item else None

    def certificate_authorities(self) -> list[CertificateAuthority]:
        """All CAs that were ever made in KMS, in no order."""
        arns = (item["pk"].partition("#")[2] for item in self._table.listing("certificate-authority"))
        return [authority for arn in arns if (authority := self.certificate_authority(arn)) is not None]

    def keep_certificate_authority(self, authority: CertificateAuthority) -> CertificateAuthority:
        """Keep a new CA, unless its key has one: the first one stays. Returns the one that is kept."""
        pk, sk = _authority_key(authority.key_arn)
        item = {"pk": pk, "sk": sk, "listing": "certificate-authority"} | _fields(authority)
        try:
            self._table.write(self._table.put(item, condition="attribute_not_exists(#pk)"))
        except ConditionFailed:
            kept = self.certificate_authority(authority.key_arn)
            if kept is None:
                raise Busy(1) from None
            return kept
        return authority

    def write_no_certificate_authority(self, key_arn: str) -> None:
        """Ask for a write to a CA's item under a condition that cannot hold: AWS says whether the caller may."""
        impossible = "attribute_exists(#pk) AND attribute_not_exists(#pk)"
        with suppress(ConditionFailed):
            self._table.write(self._table.delete(*_authority_key(key_arn), condition=impossible))

    # What a refusal means

    def _existing(self, name: str) -> Device:
        device = self.device(name)
        if device is None:
            raise WrongState(f"There is no device {name!r}.")
        return device

    def _worked_for(self, name: str) -> Device:
        device = self.device(name)
        if device is None:
            raise LeaseLost(f"Device {name!r} was removed.")
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
        key = f" with the key {device.fingerprint}" if device.fingerprint else ""
        return WrongState(f"Device {name!r} is {device.state} already{key}.")

    def _refuse_blocked(self, device: Device) -> None:
        if device.state is State.BLOCKED:
            raise Blocked(f"Device {device.name!r} is blocked.")

    def _refuse_taken_key(self, fingerprint: str, name: str) -> None:
        owner = self._table.get(*_key_key(fingerprint))
        if owner and owner["device"] != name:
            raise KeyTaken(f"The key {fingerprint} belongs to another device, {owner['device']!r}.")

    def _explain_claim(self, name: str, fingerprint: str, token_hash: str, now: int) -> Exception:
        item = self._table.get(*_device_key(name))
        self._refuse_token(item, name, fingerprint, token_hash, now)
        if item and item.get("fingerprint") == fingerprint:
            return self._busy(name, now)
        self._refuse_taken_key(fingerprint, name)
        return Busy(1)

    def _refuse_token(self, item: Item | None, name: str, fingerprint: str, token_hash: str, now: int) -> None:
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
        self._refuse_blocked(_device(item))

    def _busy(self, name: str, now: int) -> Busy:
        item = self._table.get(*_device_key(name)) or {}
        return Busy(max(1, item.get("lease_until", now) - now))

    def _lease_lost(self, name: str) -> Exception:
        device = self.device(name)
        if device and device.state is State.BLOCKED:
            return Blocked(f"Device {name!r} is blocked.")
        return LeaseLost(f"Another request for device {name!r} has taken over.")

    def _reject_if_waiting(self, fingerprint: str, now: int) -> bool:
        try:
            self.reject(fingerprint, now=now)
        except WrongState:
            return False
        return True

    # Parts of a write

    def _encoded(self, profile: ThingProfile | None, name: str) -> str | None:
        """A profile as an item holds it; for None the one that the device has."""
        if profile is not None:
            return profile.encode()
        device = self.device(name)
        return device.thing if device else None

    def _rejection(self, fingerprint: str, now: int) -> Write:
        return self._table.update(
            "requests",
            fingerprint,
            set={"rejected": True, "expires_at": now + REQUEST_LIFE},
            condition="attribute_exists(#pk)",
        )

    def _mark(self, name: str, certificate_id: str, state: CertificateState, now: int) -> Write:
        return self._table.update(
            *_certificate_key(name, certificate_id),
            set={"state": state, "updated_at": now},
            condition="attribute_exists(#pk)",
        )

    def _event(self, name: str, now: int, what: str, by: str, detail: str = "") -> Write:
        event = Event(device=name, at=now, what=what, by=by, detail=detail)
        # Within a second the clock's nanoseconds keep the order, and the random part keeps two writers apart.
        moment = f"{now:010d}#{time.time_ns():020d}#{secrets.token_hex(2)}"
        return self._table.put({"pk": f"device#{name}", "sk": f"event#{moment}"} | _fields(event))


def _refuse_full(requests: Collection[Request], source: str) -> None:
    """Rejected keys leave their places to other keys, but one source may not fill by them what is kept of all."""
    waiting = [each for each in requests if not each.rejected]
    if source and sum(each.source == source for each in waiting) >= MAX_REQUESTS_OF_SOURCE:
        raise RequestsFull(f"{MAX_REQUESTS_OF_SOURCE} keys from your address wait for approval already.")
    if source and sum(each.source == source for each in requests) >= MAX_KEPT_REQUESTS_OF_SOURCE:
        raise RequestsFull("Too many keys from your address were rejected in these days.")
    if len(waiting) >= MAX_REQUESTS or len(requests) >= MAX_KEPT_REQUESTS:
        raise RequestsFull("Too many keys wait for approval already.")


def _device_key(name: str) -> tuple[str, str]:
    return f"device#{name}", "device"


def _certificate_key(name: str, certificate_id: str) -> tuple[str, str]:
    return f"device#{name}", f"certificate#{certificate_id}"


def _key_key(fingerprint: str) -> tuple[str, str]:
    return f"key#{fingerprint}", "key"


def _authority_key(key_arn: str) -> tuple[str, str]:
    return f"certificate-authority#{key_arn}", "certificate-authority"


def _device_item(name: str, state: State, now: int) -> Item:
    pk, sk = _device_key(name)
    return {"pk": pk, "sk": sk, "listing": "device", "device": name, "state": state, "updated_at": now}


def _certificate_item(certificate: Certificate) -> Item:
    pk, sk = _certificate_key(certificate.device, certificate.certificate_id)
    return {"pk": pk, "sk": sk} | _fields(certificate)


def _device(item: Item) -> Device:
    return _read(Device, {**item, "name": item["device"], "state": State(item["state"])})


def _certificate(item: Item) -> Certificate:
    return _read(Certificate, {**item, "state": CertificateState(item["state"])})


def _fields(record: Any) -> Item:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _read(kind: type[_Record], item: Item) -> _Record:
    """A record from an item, which may hold more than the record has fields."""
    names = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in item.items() if name in names})
