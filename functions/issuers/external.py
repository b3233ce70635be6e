"""The fleet's own CA, whose key lives outside AWS: a person signs."""

from functions.issuers.own_authority import OwnAuthority
from functions.refusals import NotYet
from ledger import Certificate, Device
from pki.csr import Csr

RETRY_SECONDS = 60


class ExternalIssuer(OwnAuthority):
    """Keeps the CSR; ``zymkey-fleet sign`` or ``import`` will bring the certificate."""

    def refuse_waiting(self, csr: Csr, device: Device) -> None:
        """A device asks every minute, for days perhaps, and with the same CSR: that costs nothing but to find it."""
        if device.csr == csr.pem and device.unfinished is None:
            raise _waits()

    def issue(self, *, csr: Csr, device: Device, lease: str, now: int) -> tuple[Certificate, str | None]:
        self.deployment.ledger.queue_csr(device.name, csr=csr.pem, lease=lease, now=now)
        raise _waits()


def _waits() -> NotYet:
    return NotYet(
        "The CSR waits for a signature by the fleet's CA; the operator sees it with `zymkey-fleet pending`.",
        retry_after=RETRY_SECONDS,
    )
