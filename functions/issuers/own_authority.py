"""Certificates of a CA that this deployment has registered with AWS IoT, wherever that CA's key is."""

from dataclasses import dataclass

from functions import registration
from functions.deployment import Deployment
from ledger import Certificate, Device
from pki.csr import Csr


@dataclass(frozen=True)
class OwnAuthority:
    """What the issuers ``kms`` and ``external`` have in common."""

    deployment: Deployment

    def check(self, csr: Csr) -> None:
        """Only the CSR's key is used, so nothing else in the CSR can be wrong."""

    def refuse_waiting(self, csr: Csr, device: Device) -> None:
        """A CA in KMS signs at once."""

    def has_issued(self, certificate: Certificate) -> bool:
        return self.deployment.choices.ca_certificate(certificate.issued_by) is not None

    def register(self, certificate: Certificate) -> str:
        ca = self.deployment.choices.ca_certificate(certificate.issued_by)
        if ca is None:
            raise LookupError(f"This deployment has no CA certificate {certificate.issued_by}.")
        return registration.register(certificate, ca=ca, iot=self.deployment.iot)
