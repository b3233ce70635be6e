"""A certificate becomes a device's in AWS IoT: registered, attached to its thing, permitted.

Each step can be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from functions.refusals import BadRequest, Forbidden, Unavailable
from ledger import Certificate

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

_RETRY_CONFLICT_SECONDS = 10


def register(certificate: Certificate, *, ca: x509.Certificate, iot: IoTClient) -> str:
    """Register the certificate as active, and return its ARN.

    When AWS IoT knows it already, an earlier attempt got that far, or the device connected first (just-in-time
    registration leaves it PENDING_ACTIVATION, from where it is activated).

    Raises:
        BadRequest: AWS IoT does not take such a certificate.
        Forbidden: this certificate was switched off.
        Unavailable: AWS IoT cannot tell which CA has signed it.
    """
    try:
        reply = iot.register_certificate(
            certificatePem=certificate.pem,
            # Needed when several registered CAs have the same subject (AWS IoT API reference, RegisterCertificate).
            caCertificatePem=ca.public_bytes(Encoding.PEM).decode("ascii"),
            status="ACTIVE",
        )
    except iot.exceptions.ResourceAlreadyExistsException:
        return activate(certificate.certificate_id, iot=iot)
    except iot.exceptions.CertificateValidationException:
        raise BadRequest("AWS IoT does not take this certificate.") from None
    except iot.exceptions.CertificateConflictException:
        raise Unavailable(
            "AWS IoT has two CA certificates with one subject and key, and cannot tell which one has signed this "
            "certificate. The operator finds them with `zymkey-fleet ca check`, and has to delete one of them.",
            retry_after=_RETRY_CONFLICT_SECONDS,
        ) from None
    return reply["certificateArn"]


def activate(certificate_id: str, *, iot: IoTClient) -> str:
    """Activate a certificate that AWS IoT has, unless it is active, and return its ARN.

    Raises:
        Forbidden: it was switched off.
    """
    description = iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
    if description["status"] == "PENDING_ACTIVATION":
        iot.update_certificate(certificateId=certificate_id, newStatus="ACTIVE")
    elif description["status"] != "ACTIVE":
        raise Forbidden(
            f"The operator has switched this device's certificate off: it is {description['status']} in AWS IoT."
        )
    return description["certificateArn"]


def permit(arn: str, *, device: str, policy: str, iot: IoTClient) -> None:
    """Attach the certificate to the device's thing, then the policy to the certificate: before, it permits nothing."""
    try:
        # No other thing can have this certificate then (AWS IoT developer guide, exclusive thing).
        iot.attach_thing_principal(thingName=device, principal=arn, thingPrincipalType="EXCLUSIVE_THING")
    except iot.exceptions.InvalidRequestException:
        # The first release attached it without that, and was interrupted. That AWS IoT changes the kind of an
        # attachment is written nowhere; to attach it as it is succeeds.
        iot.attach_thing_principal(thingName=device, principal=arn)
    iot.attach_policy(policyName=policy, target=arn)
