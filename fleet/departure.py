"""What a removed device leaves in AWS IoT goes as well: its certificates, its thing, its shadows. Or why it stays.

The ledger has forgotten the device before, and keeps which certificates it had, so each step can be repeated at any
time; what belongs to a new device of the same name is not touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from audit.deletion import StillActive, StillAttached, delete
from fleet.certificates import switch_off
from fleet.errors import NotPermitted
from fleet.failures import explained
from ledger import IN_USE, THING_MARK, Certificate

if TYPE_CHECKING:
    from mypy_boto3_iot.type_defs import DescribeThingResponseTypeDef
    from mypy_boto3_iot_data import IoTDataPlaneClient

    from fleet.deployment import Deployment

# Seconds before AWS IoT is asked again whether it has noticed that something was detached: it takes it several seconds
# (AWS IoT API reference, DetachThingPrincipal).
_PAUSES = (0.5, 1.0, 2.0, 4.0)
_NOT_NOTICED = "AWS IoT has not noticed yet that it was detached; the same command again, in a minute, deletes it"


class Kept(Exception):
    """Something stays in AWS IoT; the reason in words."""


@dataclass(frozen=True, kw_only=True)
class Departure:
    """What became of what a device had in AWS IoT.

    Attributes:
        certificates: the ids of those that are deleted now.
        thing: ``deleted`` or ``kept``; None when AWS IoT has none.
        kept: why something is kept, a reason each.
    """

    certificates: list[str]
    thing: str | None
    kept: list[str]


def depart(name: str, deployment: Deployment, *, keep_thing: bool) -> Departure:
    """Delete what a removed device has left. Doing it twice is doing it once.

    Calls iot:DescribeCertificate, UpdateCertificate, ListPrincipalThings, DetachThingPrincipal, ListAttachedPolicies,
    DetachPolicy, DeleteCertificate, DescribeThing, ListThingPrincipals, DeleteThing, ListNamedShadowsForThing and
    DeleteThingShadow. What AWS does not permit is kept.
    """
    certificates, kept = [], []
    for each in leftovers(name, deployment):
        try:
            _try_to(f"the certificate {each.certificate_id}", partial(_delete_certificate, each, deployment))
            certificates.append(each.certificate_id)
        except Kept as reason:
            kept.append(str(reason))
    thing: str | None = "kept"
    try:
        if keep_thing:
            raise Kept("the thing: --keep-thing")
        thing = _try_to("the thing", partial(_delete_thing, name, deployment))
    except Kept as reason:
        kept.append(str(reason))
    return Departure(certificates=certificates, thing=thing, kept=kept)


def leftovers(name: str, deployment: Deployment) -> list[Certificate]:
    """The certificates of removed devices of this name that AWS IoT may still have."""
    found = deployment.ledger.certificates(name)
    return [each for each in found if each.deleted_at is None and each.state not in IN_USE]


def _try_to(what: str, work: Callable[[], str | None]) -> str | None:
    """Do it, again and again while AWS IoT has not noticed what was detached.

    Raises:
        Kept: it has not, or AWS does not permit something, or the work says why.
    """
    try:
        with explained():
            for pause in _PAUSES:
                try:
                    return work()
                except StillAttached:
                    time.sleep(pause)
            return work()
    except StillAttached:
        raise Kept(f"{what}: {_NOT_NOTICED}") from None
    except NotPermitted as error:
        raise Kept(f"{what}: {error.in_one_line}") from None
    except Kept as reason:
        raise Kept(f"{what}: {reason}") from None


def _delete_certificate(certificate: Certificate, deployment: Deployment) -> None:
    try:
        delete(certificate.certificate_id, iot=deployment.iot)
    except StillActive:  # an interruption left it on, or somebody has switched it on
        switch_off(certificate.certificate_id, deployment)
        delete(certificate.certificate_id, iot=deployment.iot)
    deployment.ledger.deleted(
        certificate.device, certificate.certificate_id, by=deployment.operator, now=int(time.time())
    )


def _delete_thing(name: str, deployment: Deployment) -> str | None:
    iot = deployment.iot
    try:
        thing = iot.describe_thing(thingName=name)
    except iot.exceptions.ResourceNotFoundException:
        return None
    _refuse_foreign(thing, deployment)
    if deployment.ledger.device(name) is not None:
        raise Kept("a new device has its name")
    delete_shadows(name, deployment.iot_data)
    try:
        # A device that was invited under the name meanwhile has changed it, or attaches its certificate first.
        iot.delete_thing(thingName=name, expectedVersion=thing["version"])
    except iot.exceptions.VersionConflictException:
        raise Kept("it was changed just now; the same command again looks at it anew") from None
    except iot.exceptions.InvalidRequestException:  # "still attached to one or more principals"
        raise StillAttached(name) from None
    deployment.ledger.note(name, "thing deleted", by=deployment.operator, detail="", now=int(time.time()))
    return "deleted"


def _refuse_foreign(thing: DescribeThingResponseTypeDef, deployment: Deployment) -> None:
    """Keep a thing that is not this fleet's, or that something is attached to which the ledger does not know."""
    name, owner = thing["thingName"], thing.get("attributes", {}).get(THING_MARK)
    if owner != deployment.outputs.fleet:
        raise Kept(
            f"it is of the fleet {owner!r}, by its attribute {THING_MARK}"
            if owner is not None
            else f"it has no attribute {THING_MARK}, so it may be another application's"
        )
    pages = deployment.iot.get_paginator("list_thing_principals").paginate(thingName=name)
    principals = [principal for page in pages for principal in page["principals"]]
    known = {each.certificate_id for each in deployment.ledger.certificates(name)}
    strangers = [each for each in principals if each.rpartition("/")[2] not in known]
    if strangers:
        raise Kept(f"{strangers[0]} is attached to it, which the ledger does not know")


def delete_shadows(name: str, data: IoTDataPlaneClient) -> None:
    """Before the thing: that AWS IoT deletes them with it is written nowhere, and a new thing would inherit them.

    Calls iot:ListNamedShadowsForThing and DeleteThingShadow.
    """
    try:
        names = data.list_named_shadows_for_thing(thingName=name)["results"]
    except data.exceptions.ResourceNotFoundException:
        names = []
    for shadow in ({}, *({"shadowName": each} for each in names)):
        try:
            data.delete_thing_shadow(thingName=name, **shadow)
        except data.exceptions.ResourceNotFoundException:
            continue
