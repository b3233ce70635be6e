"""Certificates that AWS IoT accepts no longer, or again."""

from __future__ import annotations

from ledger.changes import Changes
from ledger.dynamodb import ConditionFailed
from ledger.errors import Busy, WrongState
from ledger.items import certificate_key, device_key
from ledger.records import CertificateState, State


class Certificates(Changes):
    """What was switched off or on in AWS IoT."""

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
                    *device_key(name),
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

    def deleted(self, name: str, certificate_id: str, *, by: str, now: int) -> None:
        """Record that AWS IoT does not have a certificate any more. Doing it twice is doing it once.

        Raises:
            WrongState: the ledger knows no such certificate, or it is its device's current one.
        """
        certificate = self._existing_certificate(name, certificate_id)
        if certificate.deleted_at is not None:
            return
        try:
            self._table.write(
                self._table.check(
                    *device_key(name),
                    condition="attribute_not_exists(#certificate_id) OR #certificate_id <> :id",
                    id=certificate_id,
                ),
                self._table.update(
                    *certificate_key(name, certificate_id),
                    set={"deleted_at": now},
                    condition="#state IN (:deactivated, :abandoned)",
                    deactivated=CertificateState.DEACTIVATED,
                    abandoned=CertificateState.ABANDONED,
                ),
                self._event(name, now, "certificate deleted", by, certificate_id),
            )
        except ConditionFailed:
            raise WrongState(f"Device {name!r} may still need its certificate {certificate_id}.") from None

    def reactivated(self, name: str, certificate_id: str, *, by: str, now: int) -> None:
        """Record that AWS IoT accepts a device's current certificate again.

        Raises:
            Blocked: the device is blocked; the certificate must be deactivated again.
            WrongState: it is not the device's current certificate.
        """
        try:
            self._table.write(
                self._table.check(
                    *device_key(name),
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
