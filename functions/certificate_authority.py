"""Make a CA in KMS: its certificate, and the proof that AWS IoT asks for.

A CA is made once. An update returns the same bytes: another CA certificate would replace the CA of the whole fleet.
A deletion forgets nothing: the devices of that CA stay in use.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import Encoding

from ledger import CertificateAuthority, Ledger
from pki.certificates import ca_certificate, verification_certificate
from pki.kms_key import KmsPrivateKey

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_kms import KMSClient


_DENIED = {"AccessDenied", "AccessDeniedException"}


class CertificateAuthorityError(Exception):
    """What would make another CA than is asked for. CloudFormation shows the sentence and rolls back."""


def answer(event: dict[str, Any], *, ledger: Ledger, kms: KMSClient, iot: IoTClient, now: datetime) -> dict[str, Any]:
    """Answer one event of CDK's provider framework.

    Properties: Name, KeyArn, CommonName, Organization (may be empty), ValidityYears; Adopted, when the CA was made by
    an earlier deployment. Attributes: CertificatePem, VerificationCertificatePem.

    Raises:
        CertificateAuthorityError: the properties ask for another CA under the same name and key, or adopt one that the
            ledger does not have.
        ClientError: AWS refused. Either fails the deployment.
    """
    properties = event["ResourceProperties"]
    physical_id = f"certificate-authority/{properties['Name']}"
    if event["RequestType"] == "Delete":
        return {"PhysicalResourceId": event.get("PhysicalResourceId", physical_id)}
    authority = ledger.certificate_authority(properties["KeyArn"])
    if authority is None:
        _refuse_unknown(properties)
        authority = ledger.keep_certificate_authority(_make(properties, kms=kms, iot=iot, now=now))
    _refuse_change(authority, properties)
    return {
        "PhysicalResourceId": physical_id,
        "Data": {
            "CertificatePem": authority.certificate_pem,
            "VerificationCertificatePem": authority.verification_pem,
        },
    }


def _make(properties: dict[str, Any], *, kms: KMSClient, iot: IoTClient, now: datetime) -> CertificateAuthority:
    """Two signatures in KMS: the self-signed CA certificate, and the verification certificate."""
    signer = KmsPrivateKey.open(client=kms, key_id=properties["KeyArn"])
    certificate = ca_certificate(
        signer=signer,
        common_name=properties["CommonName"],
        organization=properties.get("Organization", ""),
        validity_years=int(properties["ValidityYears"]),
        now=now,
        # All deployments have the CA's default name, and AWS IoT takes 10 CAs with one subject in an account. The key's
        # id is no secret.
        distinguisher=properties["KeyArn"].rpartition("/")[2],
    )
    verification = verification_certificate(
        signer=signer,
        ca=certificate,
        registration_code=iot.get_registration_code()["registrationCode"],
        now=now,
    )
    return CertificateAuthority(
        name=properties["Name"],
        key_arn=properties["KeyArn"],
        subject=_subject(properties),
        certificate_pem=certificate.public_bytes(Encoding.PEM).decode("ascii"),
        verification_pem=verification.public_bytes(Encoding.PEM).decode("ascii"),
        validity_years=int(properties["ValidityYears"]),
    )


def _subject(properties: dict[str, Any]) -> str:
    """What is asked for. The certificate's own subject has the key's id as well, unless the first release made it."""
    organization = properties.get("Organization", "")
    return f"CN={properties['CommonName']}" + (f",O={organization}" if organization else "")


def _refuse_unknown(properties: dict[str, Any]) -> None:
    """Another certificate for the adopted key would be another CA, which AWS IoT and the devices do not know."""
    if properties.get("Adopted") == "true":
        raise CertificateAuthorityError(
            f"The ledger has no CA with the key {properties['KeyArn']}, which the setting adopt has for "
            f"{properties['Name']!r}: `zymkey-fleet adopt` prints the ledger and the keys that belong together."
        )


def _refuse_change(authority: CertificateAuthority, properties: dict[str, Any]) -> None:
    asked = (_subject(properties), int(properties["ValidityYears"]))
    made = (authority.subject, authority.validity_years)
    if asked != made:
        raise CertificateAuthorityError(
            f"The CA {authority.name!r} was made as {made[0]} for {made[1]} years and cannot become {asked[0]} for "
            f"{asked[1]} years: a changed CA would lock out every device whose certificate it has signed. "
            "To change CAs, leave this one as it is in the setting certificateAuthorities and add another after it, "
            "under a new name."
        )


def patiently(
    work: Callable[[], dict[str, Any]], *, pause: Callable[[float], None], seconds: float = 60, step: float = 5
) -> dict[str, Any]:
    """Do the work, and repeat it for ``seconds`` while AWS denies it.

    CloudFormation has just written the function's permissions, and IAM takes seconds to make them known everywhere
    (IAM User Guide, eventual consistency). What is still denied after that is really denied.
    """
    for _ in range(int(seconds / step)):
        try:
            return work()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _DENIED:
                raise
            pause(step)
    return work()
