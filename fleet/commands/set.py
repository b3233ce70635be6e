"""``zymkey-fleet set``: change the attributes and groups of a device's thing.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, UpdateItem,
iot:DescribeThing, UpdateThing; with
the setting things.groups or things.allowedGroups also iot:AddThingToThingGroup, RemoveThingFromThingGroup.
"""

import argparse
import time
from collections.abc import Mapping
from typing import Any

from fleet.arguments import add_deployment, add_device, add_examples, add_json
from fleet.cures import SEE_ALL, positional
from fleet.deployment import Deployment, open_deployment
from fleet.errors import Refused, UnexpectedReply
from fleet.failures import explained
from fleet.output import print_json, print_line
from fleet.things import ThingRules, change, check_attributes, group, shown_profile
from ledger import THING_MARK, ThingProfile


def configure(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    parser.add_argument(
        "--attribute",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=change,
        help="give the thing this attribute; NAME= without a value takes it away; repeatable",
    )
    for option, does in (("--group", "put the thing into this group"), ("--no-group", "take it out of this group")):
        parser.add_argument(
            option, metavar="GROUP", action="append", default=[], type=group, help=f"{does}; repeatable"
        )
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
The ledger remembers the change first, then AWS IoT gets it: after an interruption, run the command again. A device
without a thing gets it when it enrolls. Without options, the thing gets once more what the ledger remembers: a group
that was missing at the enrollment, for instance. Groups are those that the setting things lists.
JSON: name, attributes, groups (what the ledger remembers), thing (whether there is one in AWS IoT)."""
    add_examples(
        parser,
        "zymkey-fleet set pi-1 --attribute site=berlin --group plant",
        "zymkey-fleet set pi-1 --attribute site= --no-group plant",
        "zymkey-fleet set pi-1",
    )


def run(arguments: argparse.Namespace) -> int:
    name, attributes = arguments.name, dict(arguments.attribute)
    both = sorted({*arguments.group} & {*arguments.no_group})
    if both:
        raise Refused(f"The group {both[0]!r} is to be joined and left at once.", cure="give one of the two options")
    deployment = open_deployment(arguments)
    rules = ThingRules.of(deployment)
    rules.check_groups([*arguments.group, *arguments.no_group])
    device = deployment.ledger.device(name)
    if device is None:
        raise Refused(f"There is no device {name!r}.", cure=SEE_ALL)
    before = device.profile
    profile = before.changed(attributes=attributes, groups=arguments.group, no_groups=arguments.no_group)
    thing = _own_thing(name, deployment)
    if thing is None:
        rules.check(profile)
    else:
        present = thing.get("attributes", {})
        result = {**present, **profile.attributes, **attributes}
        others = {each for each, value in result.items() if value and each != THING_MARK}
        check_attributes(others, has_type=bool(thing.get("thingTypeName")))
    with explained(if_refused=SEE_ALL):
        deployment.ledger.set_profile(name, profile, before=before, by=deployment.operator, now=int(time.time()))
    if thing is None:
        thing = _own_thing(name, deployment)  # when it enrolled meanwhile, it was with what the ledger had before
    if thing is not None:
        _apply(thing, profile, attributes, arguments.no_group, rules, deployment)
    if arguments.json:
        print_json({"name": name, **shown_profile(profile), "thing": thing is not None})
    elif thing is None:
        print_line(f"{name} has no thing yet; it gets its attributes and groups when it enrolls.")
    else:
        print_line(f"The thing {name} has its attributes and groups.")
    return 0


def _own_thing(name: str, deployment: Deployment) -> Mapping[str, Any] | None:
    """The device's thing as AWS IoT has it; None when there is none.

    Raises:
        Refused: it has not this fleet's mark.
    """
    try:
        thing = deployment.iot.describe_thing(thingName=name)
    except deployment.iot.exceptions.ResourceNotFoundException:
        return None
    fleet = deployment.outputs.fleet
    owner = thing.get("attributes", {}).get(THING_MARK)
    if owner != fleet:
        whose = f"is of the fleet {owner!r}" if owner else "has no fleet's mark"
        raise Refused(
            f"AWS IoT's thing {name!r} {whose}, so nothing of it is changed.",
            cure=f"zymkey-fleet history {positional(name)}, which says what its enrollment found; a device of the "
            "first release gets the mark when it renews",
        )
    return thing


def _apply(
    thing: Mapping[str, Any],
    profile: ThingProfile,
    attributes: Mapping[str, str],
    no_groups: list[str],
    rules: ThingRules,
    deployment: Deployment,
) -> None:
    """Give the thing what the ledger remembers, and take from it what was taken away. Repeating it is safe."""
    iot, name = deployment.iot, thing["thingName"]
    # One that is empty is taken away (AWS IoT API reference, AttributePayload, merge).
    payload = {**profile.attributes, **{each: "" for each, value in attributes.items() if not value}}
    if any(thing.get("attributes", {}).get(each, "") != value for each, value in payload.items()):
        try:
            iot.update_thing(
                thingName=name,
                attributePayload={"attributes": payload, "merge": True},
                expectedVersion=thing["version"],
            )
        except iot.exceptions.VersionConflictException:
            raise UnexpectedReply(
                f"The thing {name!r} was changed by somebody else meanwhile.", cure="run the same command again"
            ) from None
    for each in profile.groups:
        if each not in rules.usable_groups:
            continue  # the settings do not list it any more, and nobody may use it
        try:
            iot.add_thing_to_thing_group(thingName=name, thingGroupName=each)
        except iot.exceptions.ResourceNotFoundException:
            raise Refused(
                f"AWS IoT has no thing group {each!r}.",
                cure=f"aws iot create-thing-group --thing-group-name {each}, and run the same command again",
            ) from None
    for each in no_groups:
        try:
            iot.remove_thing_from_thing_group(thingName=name, thingGroupName=each)
        except iot.exceptions.ResourceNotFoundException:
            continue  # nothing is in a group that is gone
