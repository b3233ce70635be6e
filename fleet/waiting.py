"""What waits for the operator: devices for a signature, keys for an approval."""

from ledger import Device, DeviceFilter, Ledger, Request, State


def waiting_devices(ledger: Ledger) -> list[Device]:
    """The devices whose CSR the external CA has yet to sign, longest first; without the CSRs themselves."""
    waiting = ledger.devices(DeviceFilter(waits_for_signature=True))
    devices = [each for each in waiting if each.state is not State.BLOCKED]
    return sorted(devices, key=lambda each: (each.csr_at or 0, each.name))


def waiting_csrs(ledger: Ledger) -> list[Device]:
    """The same with their CSRs: one read a device. A device that has its certificate by then is left out."""
    devices = (ledger.device(each.name) for each in waiting_devices(ledger))
    return [each for each in devices if each is not None and each.csr is not None and each.state is not State.BLOCKED]


def waiting_keys(ledger: Ledger, *, now: int) -> list[Request]:
    """The keys without an invitation that the operator has neither approved nor rejected, longest first."""
    requests = [each for each in ledger.requests() if not each.rejected and each.expires_at > now]
    return sorted(requests, key=lambda each: (each.requested_at, each.fingerprint))
