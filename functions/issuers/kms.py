"""The fleet's own CA, whose key lives in AWS KMS."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from functions.issuers.own_authority import OwnAuthority
from functions.record import record_of
from ledger import Certificate, Device
from pki.certificates import device_certificate
from pki.csr import Csr
from pki.fingerprint import certificate_id
from pki.kms_key import KmsPrivateKey
from pki.received_certificate import read_certificate


class KmsIssuer(OwnAuthority):
    """Signs with the newest CA's key. The signature is counted before it is made, for the audit, and the certificate
    is recorded before it is registered with AWS IoT.

    AWS permission: ``kms:Sign`` on that key.
    """

    def issue(self, *, csr: Csr, device: Device, lease: str, now: int) -> tuple[Certificate, str | None]:
        deployment, choices = self.deployment, self.deployment.choices
        ca = choices.ca_certificates[-1]
        ca_key = ca.public_key()
        if not isinstance(ca_key, ec.EllipticCurvePublicKey):
            raise TypeError("the CA in KMS has an EC key")
        if deployment.kms is None:
            raise TypeError("the issuer kms has a client of KMS")
        at_most = choices.certificates_per_key_and_day
        deployment.ledger.refuse_over_limit(device, at_most=at_most, now=now)
        ca_id = certificate_id(ca)
        deployment.ledger.count_signature(ca_id)
        signed = device_certificate(
            signer=KmsPrivateKey(client=deployment.kms, key_id=choices.ca_key_arn, public_key=ca_key),
            ca=ca,
            key=csr.public_key,
            device=device.name,
            subject=choices.subject,
            validity_days=choices.validity_days,
            now=datetime.fromtimestamp(now, UTC),
        )
        received = read_certificate(signed.public_bytes(Encoding.DER))
        certificate = record_of(received, device=device.name, issued_by=ca_id, now=now)
        deployment.ledger.record_certificate(certificate, lease=lease, now=now, known=device, at_most=at_most)
        return certificate, None
