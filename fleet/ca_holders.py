"""The devices that still stand on a CA: which certificates of it they hold, and until when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ledger import Device, DeviceFilter, Ledger, State


class Holds(StrEnum):
    """Which certificate of the CA a device holds."""

    CURRENT = "current"  # in use, unexpired
    SUPERSEDED = "superseded"  # renewed already; AWS IoT still accepts the one before
    UNFINISHED = "unfinished"  # being registered


@dataclass(frozen=True, kw_only=True)
class Holders:
    """How many devices hold a certificate of a CA; each counts once.

    Attributes:
        last_ends: when the last of the certificates in use ends, in seconds since 1970.
        last_due: by when the devices will have renewed by themselves, if the certificate that ends last is also the
            one that is due last: at three quarters of its life, which is the latest that a device's own plan takes
            (two thirds, and a quarter of the rest at most).
    """

    current: int = 0
    superseded: int = 0
    unfinished: int = 0
    last_ends: int | None = None
    last_due: int | None = None

    @property
    def devices(self) -> int:
        return self.current + self.superseded + self.unfinished


def holders(authority: str, ledger: Ledger, *, now: int) -> Iterator[tuple[Device, Holds]]:
    """The devices that hold a certificate of the CA with this certificate id, by name, while they are read.

    DynamoDB sends those alone, and each device that is enrolled at this moment. A blocked device's certificates are
    switched off, and what has expired serves nobody: neither counts.
    """
    for device in ledger.devices(DeviceFilter(holds_of=authority)):
        is_in_use = (device.not_after or 0) > now and device.state is not State.BLOCKED
        if device.issued_by == authority and is_in_use:
            yield device, Holds.CURRENT
        elif device.superseded_issued_by == authority:
            yield device, Holds.SUPERSEDED
        elif device.unfinished is not None:
            unfinished = ledger.certificate(device.name, device.unfinished)
            if unfinished is not None and unfinished.issued_by == authority:
                yield device, Holds.UNFINISHED


def count_holders(authority: str, ledger: Ledger, *, now: int) -> Holders:
    """Count them without remembering any: a fleet of any size takes no more memory than a small one."""
    counts = dict.fromkeys(Holds, 0)
    last: Device | None = None
    for device, holds in holders(authority, ledger, now=now):
        counts[holds] += 1
        if holds is Holds.CURRENT and (last is None or (device.not_after or 0) > (last.not_after or 0)):
            last = device
    return Holders(
        current=counts[Holds.CURRENT],
        superseded=counts[Holds.SUPERSEDED],
        unfinished=counts[Holds.UNFINISHED],
        last_ends=None if last is None else last.not_after,
        last_due=None if last is None else _due(last, ledger),
    )


def _due(device: Device, ledger: Ledger) -> int | None:
    certificate = ledger.certificate(device.name, device.certificate_id or "")
    if certificate is None:
        return device.not_after
    return certificate.not_before + (certificate.not_after - certificate.not_before) * 3 // 4
