"""The stack that lasts: whatever a device in the field depends on. All of it outlives the stack."""

from aws_cdk import Stack
from constructs import Construct

from infra.bundled_function import FunctionCode
from infra.certificate_authority import CertificateAuthority, CertificateAuthorityMaker
from infra.device_policy import DevicePolicy
from infra.ledger_table import LedgerTable
from infra.settings import Settings


class TrustStack(Stack):
    """Ledger, IoT policy, CAs. ``certificate_authorities`` has those whose keys are in KMS, oldest first."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, code: FunctionCode) -> None:
        super().__init__(
            scope, construct_id, description=f"{settings.fleet}: ledger, IoT policy and CAs of the device fleet"
        )

        self.ledger = LedgerTable(self, "Ledger")
        self.device_policy = DevicePolicy(self, "DevicePolicy", topics=settings.topics)
        self.certificate_authorities: list[CertificateAuthority] = []
        if settings.issuer == "kms":
            maker = CertificateAuthorityMaker(self, "CertificateAuthorityMaker", code=code, ledger=self.ledger)
            self.certificate_authorities = [
                CertificateAuthority(self, f"CertificateAuthority{ca.name}", settings=ca, maker=maker)
                for ca in settings.certificate_authorities
            ]
