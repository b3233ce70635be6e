"""Whether AWS IoT would take a CA, as far as it depends on the CAs that the account has registered already.

AWS IoT API reference: RegisterCACertificate takes 10 CAs with one subject; RegisterCertificate answers
CertificateConflictException where two CAs have one subject and one key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fleet.errors import Refused
from pki.certificate_authority_checks import read_ca_certificate
from pki.fingerprint import certificate_id
from pki.received_certificate import CertificateError, subject_of

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

MOST_OF_ONE_SUBJECT = 10


@dataclass(frozen=True, kw_only=True)
class RegisteredAuthority:
    """A CA certificate that AWS IoT has. ``status`` is ACTIVE or INACTIVE, ``mode`` DEFAULT or SNI_ONLY."""

    certificate_id: str
    arn: str
    status: str
    mode: str
    certificate: x509.Certificate


def registered_authorities(iot: IoTClient) -> list[RegisteredAuthority]:
    """Every CA that this account has registered in this Region.

    Calls iot:ListCACertificates and DescribeCACertificate.
    """
    pages = iot.get_paginator("list_ca_certificates").paginate()
    identifiers = [each["certificateId"] for page in pages for each in page["certificates"]]
    found = []
    for identifier in identifiers:
        described = iot.describe_ca_certificate(certificateId=identifier)["certificateDescription"]
        try:
            certificate = read_ca_certificate(described["certificatePem"].encode())
        except CertificateError:
            continue  # another system's: what cannot be read is not the CA that is asked about
        found.append(
            RegisteredAuthority(
                certificate_id=identifier,
                arn=described["certificateArn"],
                status=described["status"],
                mode=described.get("certificateMode", "DEFAULT"),
                certificate=certificate,
            )
        )
    return found


def refuse_registered(ca: x509.Certificate, registered: list[RegisteredAuthority]) -> None:
    """Refuse a CA that cannot be registered beside these.

    Raises:
        Refused: AWS IoT has this certificate, one with its subject and key, or ten with its subject.
    """
    identifier, subject = certificate_id(ca), subject_of(ca)
    same_subject = [each for each in registered if each.certificate.subject == ca.subject]
    for each in same_subject:
        if each.certificate_id != identifier and _key(each.certificate) == _key(ca):
            raise Refused(
                f"AWS IoT has another certificate of the CA {subject!r}, with the same subject and key: "
                f"{each.certificate_id}, {each.status}. With two of them it cannot tell which one has signed a "
                "device's certificate, and registers no more of them (CertificateConflictException).",
                cure="renew the CA under another subject or with another key, such as with the year in its common name",
            )
    for each in same_subject:
        if each.certificate_id == identifier:
            raise Refused(
                f"AWS IoT has the CA {subject!r} already: {identifier}, {each.status}, mode {each.mode}. "
                "CloudFormation cannot register it again.",
                cure="nothing, if this fleet's stack has registered it; if a destroyed deployment left it, "
                "`zymkey-fleet adopt`; if it came otherwise, "
                f"aws iot update-ca-certificate --certificate-id {identifier} --new-status INACTIVE && "
                f"aws iot delete-ca-certificate --certificate-id {identifier}",
            )
    if len(same_subject) >= MOST_OF_ONE_SUBJECT:
        raise Refused(
            f"AWS IoT has {len(same_subject)} CAs with the subject {subject!r}, and takes no more of one subject.",
            cure="give the CA another subject, or delete registrations that no device needs",
        )


def _key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
