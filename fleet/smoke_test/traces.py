"""Removes everything that a throw-away device leaves in AWS IoT and in the ledger. Every step can be repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from botocore.exceptions import ClientError

from fleet.deployment import Deployment
from fleet.smoke_test.device import PREFIX

# A smoke test takes a minute or two; an older device was left by one that could not clean up.
_LEFT_BEHIND_SECONDS = 15 * 60
_ATTEMPTS = 10


def left_behind(deployment: Deployment, *, now: int) -> list[str]:
    """The names of throw-away devices that interrupted smoke tests have left in the ledger."""
    return [
        each.name
        for each in deployment.ledger.devices()
        if each.name.startswith(PREFIX) and each.updated_at <= now - _LEFT_BEHIND_SECONDS
    ]


def remove_traces(name: str, deployment: Deployment, *, certificate_ids: Collection[str] = ()) -> None:
    """Remove a throw-away device: its certificates, its thing, its place in the ledger.

    The ledger comes last: an interruption before that leaves the device where ``left_behind`` finds it.

    Args:
        certificate_ids: certificates of the device that the ledger may not know.

    Calls iot:DescribeCertificate, UpdateCertificate, ListAttachedPolicies, DetachPolicy, DetachThingPrincipal,
    DeleteCertificate, DeleteThing; dynamodb:Query, DeleteItem.
    """
    if not name.startswith(PREFIX):
        raise ValueError(f"{name!r} is no throw-away device")
    if deployment.ledger.device(name) is not None:
        # From now on no request of the device completes.
        deployment.ledger.block(name, by=deployment.operator, now=int(time.time()))
    # All that is attached to the thing is in the ledger: certificates are recorded before they are attached.
    issued = (each.certificate_id for each in deployment.ledger.certificates(name))
    for certificate_id in {*issued, *certificate_ids}:
        _remove_certificate(certificate_id, name, deployment)
    _if_it_exists(lambda: _once_detached(lambda: deployment.iot.delete_thing(thingName=name)))
    deployment.ledger.erase(name)


def _remove_certificate(certificate_id: str, name: str, deployment: Deployment) -> None:
    iot = deployment.iot
    described = _if_it_exists(lambda: iot.describe_certificate(certificateId=certificate_id)["certificateDescription"])
    if described is None:
        return
    arn = described["certificateArn"]
    iot.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")
    for policy in iot.list_attached_policies(target=arn)["policies"]:
        iot.detach_policy(policyName=policy["policyName"], target=arn)
    _if_it_exists(lambda: iot.detach_thing_principal(thingName=name, principal=arn))
    _if_it_exists(lambda: _once_detached(lambda: iot.delete_certificate(certificateId=certificate_id)))


def _if_it_exists(call: Callable[[], Any]) -> Any:
    """The call's result, or None when AWS IoT no longer has what it is about."""
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise


def _once_detached(call: Callable[[], Any]) -> Any:
    """Try until a detachment has taken effect: it is asynchronous (AWS IoT API reference, DetachThingPrincipal)."""
    for attempt in range(_ATTEMPTS):
        try:
            return call()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in ("DeleteConflictException", "InvalidRequestException") or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(1)
    return None
