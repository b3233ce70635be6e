"""Amazon's CA, which signs and registers in one call."""

from dataclasses import dataclass

from functions import registration
from functions.deployment import Deployment
from functions.record import record_of
from functions.refusals import BadRequest
from ledger import Certificate, Device, LedgerError
from pki.csr import Csr
from pki.issuers import AMAZON
from pki.names import USUAL_STRINGS
from pki.received_certificate import read_leaf


@dataclass(frozen=True)
class AmazonIssuer:
    """Until the ledger knows a certificate, the certificate has no policy and no thing, and permits nothing.

    A lost reply leaves an active certificate of that kind: harmless, and removed by ``zymkey-fleet audit``.

    AWS permission: ``iot:CreateCertificateFromCsr``.
    """

    deployment: Deployment

    def check(self, csr: Csr) -> None:
        """Amazon receives the CSR as it is. Its subject decides which topics the device may use over HTTPS."""
        if not csr.common_name:
            raise BadRequest("The CSR has no common name; with Amazon's CA it must be the device's name.")
        if csr.common_name_string not in USUAL_STRINGS:
            raise BadRequest(
                f"The CSR's common name is a {csr.common_name_string}, which Amazon's CA may read otherwise; "
                f"it must be a {' or a '.join(USUAL_STRINGS)}."
            )

    def refuse_waiting(self, csr: Csr, device: Device) -> None:
        """Amazon's CA signs at once."""

    def issue(self, *, csr: Csr, device: Device, lease: str, now: int) -> tuple[Certificate, str | None]:
        deployment = self.deployment
        at_most = deployment.choices.certificates_per_key_and_day
        deployment.ledger.refuse_over_limit(device, at_most=at_most, now=now)
        iot = deployment.iot_once
        try:
            reply = iot.create_certificate_from_csr(certificateSigningRequest=csr.pem, setAsActive=True)
        except iot.exceptions.InvalidRequestException:
            raise BadRequest("Amazon's CA does not take this CSR.") from None
        signed = read_leaf(reply["certificatePem"].encode())
        certificate = record_of(signed, device=device.name, issued_by=AMAZON, now=now)
        try:
            deployment.ledger.record_certificate(certificate, lease=lease, now=now, known=device, at_most=at_most)
        except LedgerError:
            deployment.iot.update_certificate(certificateId=certificate.certificate_id, newStatus="INACTIVE")
            raise
        # Not asked for again: AWS IoT makes 15 certificates in a second, but answers 10 DescribeCertificate.
        return certificate, reply["certificateArn"]

    def has_issued(self, certificate: Certificate) -> bool:
        return certificate.issued_by == AMAZON

    def register(self, certificate: Certificate) -> str:
        return registration.activate(certificate.certificate_id, iot=self.deployment.iot)
