"""The fleet's own CA, whose key lives outside AWS: a person signs."""

from functions.issuers.own_authority import OwnAuthority
from functions.refusals import NotYet
from ledger import Certificate
from pki.csr import Csr

RETRY_SECONDS = 60


class ExternalIssuer(OwnAuthority):
    """Keeps the CSR; ``zymkey-fleet sign`` or ``import`` will bring the certificate."""

    def issue(self, *, csr: Csr, device: str, lease: str, now: int) -> Certificate:
        self.deployment.ledger.queue_csr(device, csr=csr.pem, lease=lease, now=now)
        raise NotYet(
            "The CSR waits for a signature by the fleet's CA; the operator sees it with `zymkey-fleet pending`.",
            retry_after=RETRY_SECONDS,
        )
