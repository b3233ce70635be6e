"""What AWS IoT knows of a client certificate: its status and the policies attached to it."""

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


PENDING = "PENDING_ACTIVATION"
"""The status between just-in-time registration and the fleet's decision."""


@dataclass(frozen=True, kw_only=True)
class RegisteredCertificate:
    """``arn`` of a certificate whose id is the SHA-256 of its DER, in hex.

    ``ca_certificate_id`` is the registered CA's that signed it, if there is one.
    """

    certificate_id: str
    arn: str
    status: str
    created_at: datetime.datetime
    ca_certificate_id: str | None

    @property
    def is_active(self) -> bool:
        return self.status == "ACTIVE"


class Registry:
    """Reads the emulator's registry for each question again, so that a change counts at once."""

    def __init__(self, iot: "IoTClient") -> None:
        self._iot = iot

    def find(self, certificate_id: str) -> RegisteredCertificate | None:
        try:
            found = self._iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
        except self._iot.exceptions.ResourceNotFoundException:
            return None
        return RegisteredCertificate(
            certificate_id=certificate_id,
            arn=found["certificateArn"],
            status=found["status"],
            created_at=found["creationDate"],
            ca_certificate_id=found.get("caCertificateId"),
        )

    def things(self, certificate: RegisteredCertificate) -> list[str]:
        """The names of the things that the certificate is attached to."""
        return self._iot.list_principal_things(principal=certificate.arn)["things"]

    def policies(self, certificate: RegisteredCertificate) -> list[str]:
        """Default versions of the attached policies, as JSON documents."""
        attached = self._iot.list_attached_policies(target=certificate.arn)["policies"]
        return [self._iot.get_policy(policyName=policy["policyName"])["policyDocument"] for policy in attached]
