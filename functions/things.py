"""A device's thing in AWS IoT: created with the fleet's mark, or found to be this fleet's, or refused.

Things belong to the account. Whoever has a certificate that is attached to the thing ``pi-7`` may connect as ``pi-7``,
and a second client of that name disconnects the first: so a thing that another fleet or another application made is
never used. The mark is the attribute ``ledger.THING_MARK`` with the fleet's name. What the first release made has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from functions.deployment import Deployment
from functions.log import bounded, log
from functions.refusals import ForeignThing
from ledger import THING_MARK, Device

if TYPE_CHECKING:
    from mypy_boto3_iot.type_defs import DescribeThingResponseTypeDef

_REFUSED = "refused: the thing is not this fleet's"


def is_new(device: Device) -> bool:
    """Whether the device's thing is to get its attributes and groups. Later they are the operator's to change, so a
    renewal leaves them as they are, and so does the enrollment of the key that replaces another one.
    """
    return device.certificate_id is None and not device.keeps_thing


def claim(device: Device, *, now: int, deployment: Deployment) -> None:
    """Create the device's thing, or find that it is this fleet's. Before a certificate is made: a refusal costs none.

    One call in the usual case: CreateThing for a new device, DescribeThing for one that has its thing, because a thing
    whose attributes were changed since would not be the same configuration to CreateThing. Repeating it is safe.

    Raises:
        ForeignThing: the thing belongs to another fleet, or to no fleet.
        ClientError, BotoCoreError: an AWS call failed; the next request repairs it.
    """
    thing = None if is_new(device) else _described(device.name, deployment)
    if thing is None:
        if _create(device, now, deployment):
            return
        thing = deployment.iot.describe_thing(thingName=device.name)
    _refuse_foreign(thing, device, now, deployment)
    if is_new(device):
        _give_own_attributes(thing, device, now, deployment)


def look(device: Device, *, now: int, deployment: Deployment) -> None:
    """Refuse a device whose thing is not this fleet's, and create none: its certificate is not there yet.

    Raises:
        ForeignThing: the thing belongs to another fleet, or to no fleet.
        ClientError, BotoCoreError: an AWS call failed; the next request repairs it.
    """
    thing = _described(device.name, deployment)
    if thing is not None:
        _refuse_foreign(thing, device, now, deployment)


def _refuse_foreign(thing: DescribeThingResponseTypeDef, device: Device, now: int, deployment: Deployment) -> None:
    owner = thing.get("attributes", {}).get(THING_MARK)
    if owner == deployment.choices.fleet:
        return
    attached = _attached(device.name, deployment)
    if owner is not None and attached & _used_with(device, deployment):
        # Both fleets used the thing before there were marks: neither is cut off by an update.
        log.warning("the device's thing has another fleet's mark", thing=device.name, mark=bounded(owner))
    elif owner is None and _is_of_an_earlier_release(thing, attached, device, deployment):
        _mark(thing, deployment)
    else:
        raise _refusal(device, owner, now, deployment)


def _refusal(device: Device, owner: str | None, now: int, deployment: Deployment) -> ForeignThing:
    """Whose the thing is, only the operator reads, once: the device asks again and again."""
    name, fleet = device.name, deployment.choices.fleet
    whose = f"is of the fleet {bounded(owner)!r}" if owner else f"has no attribute {THING_MARK}, so it is of no fleet"
    mark = json.dumps({"attributes": {THING_MARK: fleet}, "merge": True})
    events = deployment.ledger.history(name)
    if not events or events[-1].what != _REFUSED:
        deployment.ledger.note(
            name,
            _REFUSED,
            by="enrollment",
            detail=f"AWS IoT's thing {name} {whose}. If it is this device's: aws iot update-thing --thing-name={name} "
            f"--attribute-payload '{mark}'. If nobody needs it: detach what `aws iot list-thing-principals "
            f"--thing-name={name}` lists (aws iot detach-thing-principal --thing-name={name} --principal=ARN), then "
            f"aws iot delete-thing --thing-name={name}. Otherwise block and remove this device, and give it another "
            "name.",
            now=now,
        )
    return ForeignThing(
        f"AWS IoT has a thing {name!r} already that does not belong to the fleet {fleet!r}, and to use it would cut "
        f"off whoever does. The operator sees whose it is, and what to type, with `zymkey-fleet history {name}`; "
        "send the same request again after that.",
        reason=f"the thing {name} {whose}",
    )


def join_groups(device: Device, *, now: int, deployment: Deployment) -> None:
    """Put a new device's thing into the groups. One that AWS IoT refuses keeps no device from its certificate.

    Raises:
        ClientError, BotoCoreError: an AWS call failed; the next request repairs it.
    """
    iot = deployment.iot
    things = deployment.choices.things
    usable = {*things.get("groups", ()), *things.get("allowedGroups", ())}
    for group in dict.fromkeys((*things.get("groups", ()), *device.profile.groups)):
        if group not in usable:  # nor may this role use it, since the settings do not name it any more
            _note(device, f"thing not in its group {group}", "things.allowedGroups does not list it", now, deployment)
            continue
        try:
            iot.add_thing_to_thing_group(thingName=device.name, thingGroupName=group)
        except (iot.exceptions.ResourceNotFoundException, iot.exceptions.InvalidRequestException) as error:
            _note(device, f"thing not in its group {group}", error, now, deployment)


def _described(name: str, deployment: Deployment) -> DescribeThingResponseTypeDef | None:
    try:
        return deployment.iot.describe_thing(thingName=name)
    except deployment.iot.exceptions.ResourceNotFoundException:
        return None


def _create(device: Device, now: int, deployment: Deployment) -> bool:
    """Whether the thing is there now, with the mark; False when there is one with another configuration."""
    iot, choices = deployment.iot, deployment.choices
    mark = {THING_MARK: choices.fleet}
    options: dict[str, Any] = {}
    if "type" in choices.things:
        options["thingTypeName"] = choices.things["type"]
    if "billingGroup" in choices.things:
        options["billingGroupName"] = choices.things["billingGroup"]
    attributes = {**choices.things.get("attributes", {}), **device.profile.attributes, **mark}
    try:
        try:
            iot.create_thing(thingName=device.name, attributePayload={"attributes": attributes}, **options)
        except (iot.exceptions.ResourceNotFoundException, iot.exceptions.InvalidRequestException) as error:
            if not options and attributes == mark:
                raise
            # The thing type or the billing group is gone, or these are more attributes than a thing may have.
            iot.create_thing(thingName=device.name, attributePayload={"attributes": mark})
            _note(device, "thing without type, attributes and billing group", error, now, deployment)
    except iot.exceptions.ResourceAlreadyExistsException:
        return False
    return True


def _give_own_attributes(thing: DescribeThingResponseTypeDef, device: Device, now: int, deployment: Deployment) -> None:
    """Give a new device's thing that was there already, such as a removed device's, what the operator asked for."""
    present = thing.get("attributes", {})
    own = device.profile.attributes.items()
    wanted = {name: value for name, value in own if present.get(name) != value and name != THING_MARK}
    if not wanted:
        return
    iot = deployment.iot
    try:
        iot.update_thing(thingName=device.name, attributePayload={"attributes": wanted, "merge": True})
    except iot.exceptions.InvalidRequestException as error:
        _note(device, "thing without its own attributes", error, now, deployment)


def _attached(name: str, deployment: Deployment) -> set[str]:
    """The ids of the certificates that are attached to a thing, and whatever else is."""
    pages = deployment.iot.get_paginator("list_thing_principals").paginate(thingName=name)
    return {principal.rpartition("/")[2] for page in pages for principal in page["principals"]}


def _used_with(device: Device, deployment: Deployment) -> set[str]:
    """The ids of the certificates with which the device has used its thing: those of a replaced key, too."""
    if device.certificate_id is not None:
        return {device.certificate_id}
    return _recorded(device, deployment) if device.keeps_thing else set()


def _recorded(device: Device, deployment: Deployment) -> set[str]:
    return {each.certificate_id for each in deployment.ledger.certificates(device.name)}


def _is_of_an_earlier_release(
    thing: Mapping[str, Any], attached: set[str], device: Device, deployment: Deployment
) -> bool:
    """Whether a thing without a mark is the device's all the same: the first release set none.

    It has the device's current certificate; or nobody's but certificates that the ledger recorded under this name,
    be they of a device that was removed; or none, when an enrollment of the first release was interrupted after
    CreateThing. That release recorded a certificate before, and gave the thing neither attributes nor a type.
    """
    if device.certificate_id in attached:
        return True
    recorded = _recorded(device, deployment)
    if attached:
        return attached <= recorded
    return bool(recorded) and not thing.get("attributes") and not thing.get("thingTypeName")


def _mark(thing: DescribeThingResponseTypeDef, deployment: Deployment) -> None:
    """Give an unmarked thing the mark, unless it changed since it was looked at: then the next request looks again."""
    iot = deployment.iot
    try:
        iot.update_thing(
            thingName=thing["thingName"],
            attributePayload={"attributes": {THING_MARK: deployment.choices.fleet}, "merge": True},
            expectedVersion=thing["version"],
        )
    except iot.exceptions.InvalidRequestException as error:
        # It has as many attributes as a thing may have. The device works without the mark, as it did.
        log.warning("the device's thing has no place for the fleet's mark", reason=bounded(str(error)))
    else:
        log.info("the device's thing has the fleet's mark now", thing=thing["thingName"])


def _note(device: Device, what: str, why: object, now: int, deployment: Deployment) -> None:
    log.warning(what, reason=bounded(str(why)))
    deployment.ledger.note(device.name, what, by="enrollment", detail=bounded(str(why)), now=now)
