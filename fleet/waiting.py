"""Who waits for the operator: devices for a signature, keys for an approval."""

from ledger import Device, Ledger, Request, State


def waiting_devices(ledger: Ledger) -> list[Device]:
    """The devices whose CSR a CA elsewhere has yet to sign, longest first; without the CSRs themselves."""
    devices = [each for each in ledger.devices() if each.csr_at is not None and each.state is not State.BLOCKED]
    return sorted(devices, key=lambda each: (each.csr_at or 0, each.name))


def waiting_csrs(ledger: Ledger) -> list[Device]:
    """The same with their CSRs: one read a device. Who has got a certificate in the meantime is left out."""
    devices = (ledger.device(each.name) for each in waiting_devices(ledger))
    return [each for each in devices if each is not None and each.csr is not None and each.state is not State.BLOCKED]


def waiting_keys(ledger: Ledger, *, now: int) -> list[Request]:
    """The keys that nobody invited and nobody has decided on, longest first."""
    requests = [each for each in ledger.requests() if not each.rejected and each.expires_at > now]
    return sorted(requests, key=lambda each: (each.requested_at, each.fingerprint))
