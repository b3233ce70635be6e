"""Issuance: under its lease, a request records a certificate, and makes it the device's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.changes import unchanged
from ledger.dynamodb import ConditionFailed, Item
from ledger.enrollment import Enrollment
from ledger.errors import Blocked, DailyLimitReached, LeaseLost
from ledger.items import certificate_item, device_key
from ledger.records import DAY, Certificate, CertificateState, Device, State, utc_day

_LEASE_IS_MINE = "#lease = :lease AND #state <> :blocked"


class Issuance(Enrollment):
    """The changes of one enrollment after its lease, in their order. Each names the lease under which it is made."""

    def refuse_over_limit(self, device: Device, *, at_most: int | None, now: int) -> None:
        """Refuse to sign for a key that has had its certificates of this UTC day. Reads nothing, and changes nothing.

        Args:
            at_most: how many a key may have in a day; None for no limit.

        Raises:
            DailyLimitReached: it has had so many.
        """
        if at_most is not None and device.issued_today(now) >= at_most:
            raise DailyLimitReached(device.name, at_most=at_most, retry_after=DAY - now % DAY)

    def record_certificate(
        self, certificate: Certificate, *, lease: str, now: int, known: Device | None = None, at_most: int | None = None
    ) -> None:
        """Record a signed certificate before it is registered with AWS IoT, so that a repeat registers the same bytes.

        Args:
            known: the device as the lease found it; None to read it, where there is a limit.
            at_most: how many certificates the key may have in this UTC day, with this one. They are counted in the same
                write. None neither limits nor counts.

        Raises:
            LeaseLost: another request has taken over, or has recorded a certificate already, or the operator has
                forgotten the day's count.
            DailyLimitReached: the key has had so many.
        """
        name = certificate.device
        counted = _NOT_COUNTED
        if at_most is not None:
            device = known or self._worked_for(name)
            self.refuse_over_limit(device, at_most=at_most, now=now)
            counted = _counted(device, at_most=at_most, now=now)
        try:
            self._table.write(
                self._table.update(
                    *device_key(name),
                    set={"unfinished": certificate.certificate_id, "updated_at": now, **counted.set},
                    add=counted.add,
                    condition=f"{_LEASE_IS_MINE} AND attribute_not_exists(#unfinished){counted.condition}",
                    lease=lease,
                    blocked=State.BLOCKED,
                    **counted.values,
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
            Blocked: the operator has blocked or replaced the device meanwhile; the certificate must be deactivated.
        """
        name, new = certificate.device, certificate.certificate_id
        before = known or self._worked_for(name)
        same_certificate, current = unchanged("certificate_id", before.certificate_id)
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
            raise self._lease_lost(name, certificate) from None
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

    # What a refusal means

    def _worked_for(self, name: str) -> Device:
        device = self.device(name)
        if device is None:
            raise LeaseLost(f"Device {name!r} was removed.")
        return device

    def _lease_lost(self, name: str, certificate: Certificate | None = None) -> Exception:
        device = self.device(name)
        if device and device.state is State.BLOCKED:
            return Blocked(f"Device {name!r} is blocked.")
        # Its key was replaced, and the device may be gone since, or be another's by now.
        known = self.certificate(name, certificate.certificate_id) if certificate else None
        if known and known.state is CertificateState.DEACTIVATED:
            return Blocked(f"The operator has taken this certificate away from device {name!r}.")
        return LeaseLost(f"Another request for device {name!r} has taken over.")


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """What the day's count adds to the write that records a certificate. The condition decides, whatever was read."""

    set: Item = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    condition: str = ""
    values: Item = field(default_factory=dict)


_NOT_COUNTED = _Counted()


def _counted(device: Device, *, at_most: int, now: int) -> _Counted:
    """One more of this day, or the first one of it. A day that another instance's clock has begun already has begun."""
    today = utc_day(now)
    if device.issued_on is not None and device.issued_on >= today:
        return _Counted(
            add={"issued_count": 1},
            condition=" AND #issued_on >= :today AND #issued_count < :at_most",
            values={"today": today, "at_most": at_most},
        )
    return _Counted(
        set={"issued_on": today, "issued_count": 1},
        condition=" AND (attribute_not_exists(#issued_on) OR #issued_on < :today)",
        values={"today": today},
    )
