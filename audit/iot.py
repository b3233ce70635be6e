"""What AWS IoT says about certificates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from audit.judgement import Registered
from pki.armour import ArmourError, unwrap
from pki.received_certificate import CertificateError, ReceivedCertificate, read_certificate

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

# The most that AWS IoT returns at once (API reference, ListCertificates and ListTargetsForPolicy).
_PAGE_SIZE = 250


class Gone(Exception):
    """AWS IoT does not have the certificate, or not any more: a list is minutes old when its last page has come."""


def certificate_pages(iot: IoTClient) -> Iterator[list[dict[str, Any]]]:
    """Every certificate of the account and Region, as AWS IoT lists them. Calls iot:ListCertificates."""
    for page in iot.get_paginator("list_certificates").paginate(PaginationConfig={"PageSize": _PAGE_SIZE}):
        yield [dict(each) for each in page["certificates"]]


def target_pages(iot: IoTClient, policy: str) -> Iterator[list[str]]:
    """The ARN of everything that a policy is attached to. Calls iot:ListTargetsForPolicy."""
    paginator = iot.get_paginator("list_targets_for_policy")
    for page in paginator.paginate(policyName=policy, PaginationConfig={"PageSize": _PAGE_SIZE}):
        yield page["targets"]


def pages_of_ca(iot: IoTClient, ca_id: str) -> Iterator[list[str]]:
    """The ids of the certificates that a CA has signed. Calls iot:ListCertificatesByCA."""
    pages = iot.get_paginator("list_certificates_by_ca").paginate(
        caCertificateId=ca_id, PaginationConfig={"PageSize": _PAGE_SIZE}
    )
    with suppress(Gone), _gone_if_not_found():
        for page in pages:
            yield [each["certificateId"] for each in page["certificates"]]


def describe(certificate_id: str, iot: IoTClient, *, policy: str) -> Registered | None:
    """One certificate, or None when AWS IoT does not have it.

    Calls iot:DescribeCertificate and ListAttachedPolicies.
    """
    with suppress(Gone), _gone_if_not_found():
        described = iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
        return Registered(
            certificate_id=certificate_id,
            arn=described["certificateArn"],
            is_active=described["status"] == "ACTIVE",
            created_at=int(described["creationDate"].timestamp()),
            is_permitted=policy in policies(described["certificateArn"], iot),
        )
    return None


def content(certificate_id: str, iot: IoTClient) -> ReceivedCertificate | None:
    """The X.509 certificate itself. Calls iot:DescribeCertificate.

    None when it cannot be read: it is another system's then, since a fleet registers none that it cannot read.

    Raises:
        Gone: there is no such certificate.
    """
    with _gone_if_not_found():
        reply = iot.describe_certificate(certificateId=certificate_id)
    try:
        (block, *_) = unwrap(reply["certificateDescription"]["certificatePem"].encode())
        return read_certificate(block.der)
    except (ArmourError, CertificateError):
        return None


def policies(arn: str, iot: IoTClient) -> list[str]:
    """The names of the policies that are attached to a certificate. Calls iot:ListAttachedPolicies.

    Raises:
        Gone: there is no such certificate.
    """
    with _gone_if_not_found():
        return [each["policyName"] for each in iot.list_attached_policies(target=arn)["policies"]]


def things(arn: str, iot: IoTClient) -> list[str]:
    """The names of the things that a certificate is attached to. Calls iot:ListPrincipalThings.

    Raises:
        Gone: there is no such certificate.
    """
    with _gone_if_not_found():
        return iot.list_principal_things(principal=arn)["things"]


@contextmanager
def _gone_if_not_found() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise Gone from None
