"""Whether a deployment may declare a CA ACTIVE: the custom resource that goes before each registration.

CloudFormation sends the declared status with every update of a registration. A CA that was made INACTIVE in AWS IoT,
and not in the settings, would be ACTIVE again, also when its key is stolen. So that deployment fails instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography import x509

from pki.fingerprint import certificate_id

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


class DeclaredStatusError(Exception):
    """The CA is INACTIVE, and nobody has declared it. CloudFormation shows the sentence and rolls back."""


def answer(event: dict[str, Any], *, iot: IoTClient) -> dict[str, Any]:
    """Answer one event of CDK's provider framework.

    Properties: Setting (where the CA is in cdk.json), CertificatePem, Status (ACTIVE or INACTIVE), and Rest, which is
    not read: a change of it is a change of the registration.

    Raises:
        DeclaredStatusError: Status is ACTIVE, the CA is INACTIVE in AWS IoT, and the deployment before this one did not
            declare it so.
        ClientError: AWS refused. Either fails the deployment.
    """
    properties = event["ResourceProperties"]
    identifier = certificate_id(x509.load_pem_x509_certificate(properties["CertificatePem"].encode()))
    if event["RequestType"] != "Delete" and properties["Status"] == "ACTIVE":
        before = event.get("OldResourceProperties", {})
        was_declared = (before.get("CertificatePem"), before.get("Status")) == (
            properties["CertificatePem"],
            "INACTIVE",
        )
        if not was_declared and _is_inactive(identifier, iot):
            raise DeclaredStatusError(
                f"The CA certificate {identifier} is INACTIVE in AWS IoT, as `zymkey-fleet ca retire` leaves it, and "
                f'this deployment would make it ACTIVE again. If it is retired, add "retired": true to '
                f"{properties['Setting']} in cdk.json, or remove it there, and deploy. If it shall be active, set it "
                f"ACTIVE first: aws iot update-ca-certificate --certificate-id {identifier} --new-status ACTIVE"
            )
    return {"PhysicalResourceId": event.get("PhysicalResourceId") or f"declared-status/{identifier}"}


def _is_inactive(identifier: str, iot: IoTClient) -> bool:
    try:
        found = iot.describe_ca_certificate(certificateId=identifier)
    except iot.exceptions.ResourceNotFoundException:
        return False  # not registered yet
    return found["certificateDescription"]["status"] == "INACTIVE"
