"""A certificate that nobody needs any more leaves AWS IoT. The ledger keeps its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit import iot as aws_iot

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


class StillAttached(Exception):
    """AWS IoT has not noticed yet that the certificate was detached: that takes it seconds, sometimes minutes.

    Source: AWS IoT API reference, DetachThingPrincipal and DetachPolicy. The same call again, later, deletes it.
    """


class StillActive(Exception):
    """The certificate is ACTIVE: a device may use it. Nothing was detached."""


def delete(certificate_id: str, *, iot: IoTClient) -> None:
    """Detach an inactive certificate from things and policies, and delete it. Doing it twice is doing it once.

    Calls iot:DescribeCertificate, ListPrincipalThings, DetachThingPrincipal, ListAttachedPolicies, DetachPolicy and
    DeleteCertificate.

    Raises:
        StillActive: it is ACTIVE.
        StillAttached: it is detached, and has to be deleted later.
        ClientError, BotoCoreError: an AWS call failed.
    """
    try:
        described = iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
        if described["status"] == "ACTIVE":
            raise StillActive(f"The certificate {certificate_id} is ACTIVE.")
        arn = described["certificateArn"]
        for thing in aws_iot.things(arn, iot):
            iot.detach_thing_principal(thingName=thing, principal=arn)
        for policy in aws_iot.policies(arn, iot):
            iot.detach_policy(policyName=policy, target=arn)
        iot.delete_certificate(certificateId=certificate_id)
    except iot.exceptions.DeleteConflictException:
        raise StillAttached(certificate_id) from None
    except (aws_iot.Gone, iot.exceptions.ResourceNotFoundException):
        return
