"""What AWS IoT says about certificates."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from fleet.audit.judgement import Registered
from fleet.deployment import Deployment
from pki.armour import ArmourError, unwrap
from pki.received_certificate import CertificateError, ReceivedCertificate, read_certificate

# The most that AWS IoT returns at once (API reference, ListCertificates and ListTargetsForPolicy).
_PAGE_SIZE = 250


def registered_certificates(deployment: Deployment) -> Iterator[Registered]:
    """Every certificate of the account and Region. Calls iot:ListCertificates."""
    for page in deployment.iot.get_paginator("list_certificates").paginate(PaginationConfig={"PageSize": _PAGE_SIZE}):
        for each in page["certificates"]:
            yield Registered(
                certificate_id=each["certificateId"],
                arn=each["certificateArn"],
                status=each["status"],
                created_at=int(each["creationDate"].timestamp()),
            )


def permitted_targets(deployment: Deployment) -> Iterator[str]:
    """The ARN of everything that the fleet's policy is attached to. Calls iot:ListTargetsForPolicy."""
    paginator = deployment.iot.get_paginator("list_targets_for_policy")
    for page in paginator.paginate(policyName=deployment.outputs.iot_policy, PaginationConfig={"PageSize": _PAGE_SIZE}):
        yield from page["targets"]


def describe(certificate_id: str, deployment: Deployment) -> Registered | None:
    """One certificate, or None when AWS IoT does not have it. Calls iot:DescribeCertificate."""
    try:
        described = deployment.iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    return Registered(
        certificate_id=certificate_id,
        arn=described["certificateArn"],
        status=described["status"],
        created_at=int(described["creationDate"].timestamp()),
    )


def content(registered: Registered, deployment: Deployment) -> ReceivedCertificate | None:
    """The X.509 certificate itself. Calls iot:DescribeCertificate.

    None when it cannot be read: it is another system's then, since a fleet registers none that it cannot read.
    """
    reply = deployment.iot.describe_certificate(certificateId=registered.certificate_id)
    try:
        (block, *_) = unwrap(reply["certificateDescription"]["certificatePem"].encode())
        return read_certificate(block.der)
    except (ArmourError, CertificateError):
        return None


def policies(registered: Registered, deployment: Deployment) -> list[str]:
    """The names of the policies that are attached to it. Calls iot:ListAttachedPolicies."""
    return [each["policyName"] for each in deployment.iot.list_attached_policies(target=registered.arn)["policies"]]


def things(registered: Registered, deployment: Deployment) -> list[str]:
    """The names of the things that it is attached to. Calls iot:ListPrincipalThings."""
    return deployment.iot.list_principal_things(principal=registered.arn)["things"]
