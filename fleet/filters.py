"""The options that choose devices by what they are, and the devices that they choose.

State, name and the certificate's end are the ledger's, and DynamoDB filters. Groups and attributes are AWS IoT's: a
thing may have them from the setting ``things``, from an operator's command or from other tools, and only AWS IoT knows
all of them. When the device was last connected is known to AWS IoT's fleet index (``fleet.last_seen``).
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from fleet.arguments import duration
from fleet.authorities import ids_of
from fleet.errors import Refused
from fleet.last_seen import connections
from fleet.things import attribute, group
from ledger import INVITED_EXPIRED, THING_MARK, Device, DeviceFilter, State

if TYPE_CHECKING:
    from fleet.deployment import Deployment

STATES = [State.INVITED, INVITED_EXPIRED, State.PENDING, State.ENROLLED, State.BLOCKED]
OPTIONS = ("state", "prefix", "issued_by", "group", "attribute", "expires_within", "expired", "not_seen_for")

_THINGS_A_PAGE = 250  # the most that AWS IoT gives (API reference, ListThings and ListThingsInThingGroup)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Options that all have to hold. No option's word may begin that of another command's option."""
    options = parser.add_argument_group("which devices, if not all: those that all of this holds for")
    options.add_argument(
        "--state",
        metavar="STATE",
        action="append",
        default=[],
        choices=[str(each) for each in STATES],
        help=f"its state, one of {', '.join(STATES)}; repeat it for several",
    )
    options.add_argument("--prefix", metavar="TEXT", type=prefix, help="what the device's name begins with")
    options.add_argument(
        "--issued-by",
        metavar="CA",
        help="this CA has issued its certificate: its name in cdk.json, for an external CA its common name; or the id "
        "of the CA's certificate; `aws` for Amazon's",
    )
    options.add_argument(
        "--expires-within",
        metavar="TIME",
        type=duration,
        help="its certificate ends within this time (such as 30d), or has ended",
    )
    options.add_argument("--expired", action="store_true", help="its certificate has ended")
    options.add_argument(
        "--group",
        metavar="GROUP",
        action="append",
        default=[],
        type=group,
        help="its thing is in this thing group of AWS IoT; repeatable",
    )
    options.add_argument(
        "--attribute",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=attribute,
        help="its thing has this attribute in AWS IoT; repeatable",
    )
    options.add_argument(
        "--not-seen-for",
        metavar="TIME",
        type=duration,
        help="it has a certificate, and was not connected for this time, or never; needs the fleet index of AWS IoT, "
        "which does not see devices that use HTTPS alone",
    )


def has_filters(arguments: argparse.Namespace) -> bool:
    return any(getattr(arguments, each) for each in OPTIONS)


def prefix(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the beginning of a device's name")
    return text


def filtered(
    arguments: argparse.Namespace, deployment: Deployment, *, after: str = "", limit: int | None = None
) -> Iterator[Device]:
    """The devices that the options choose, by name, read in pages while they are used.

    Calls dynamodb:Query on the index ``listing``, once for 1 MB of what is in the range of names: some thousand
    devices. With --group iot:ListThingsInThingGroup, with --attribute iot:ListThings, each once for 250 things; with
    --not-seen-for iot:SearchIndex, once for 100 things of the account. The names that AWS IoT gives are kept in memory.

    Args:
        after: a name; only devices that follow it.
        limit: the first this many.

    Raises:
        Refused: there is no such group, no such CA; AWS IoT does not know who is connected.
        ClientError, BotoCoreError: AWS does not answer, or refuses.
    """
    which = device_filter(arguments, deployment, after=after)
    names = _names_in_iot(arguments, deployment)
    if names is not None:
        if not names:
            return iter(())
        which = _narrowed(which, names)
    seen = _seen(arguments, deployment)
    if names is None and not seen:
        return deployment.ledger.devices(which, limit=limit)
    devices = deployment.ledger.devices(which)
    chosen = (each for each in devices if (names is None or each.name in names) and each.name not in seen)
    return islice(chosen, limit)


def counted(arguments: argparse.Namespace, deployment: Deployment) -> int:
    """How many ``filtered`` would give; without loading them where the ledger alone decides."""
    if arguments.group or arguments.attribute or arguments.not_seen_for:
        return sum(1 for _ in filtered(arguments, deployment))
    return deployment.ledger.count_devices(device_filter(arguments, deployment))


def device_filter(arguments: argparse.Namespace, deployment: Deployment, *, after: str = "") -> DeviceFilter:
    """What the ledger decides of the options."""
    now = int(time.time())
    ends = now + arguments.expires_within if arguments.expires_within else None
    return DeviceFilter(
        prefix=arguments.prefix or "",
        after=after,
        states=frozenset(arguments.state),
        expires_by=now if arguments.expired else ends,
        has_certificate=bool(arguments.not_seen_for),
        issued_by=ids_of(arguments.issued_by, deployment) if arguments.issued_by else (),
        now=now,
    )


def _narrowed(which: DeviceFilter, names: Collection[str]) -> DeviceFilter:
    """No more of the index than where the names are."""
    before_first = min(names)[:-1]  # it comes before the name, which begins with it
    return replace(which, after=max(which.after, before_first), until=max(names))


def _names_in_iot(arguments: argparse.Namespace, deployment: Deployment) -> set[str] | None:
    """The names of the things that are in all of the groups and have all of the attributes; None for any thing.

    Names, not things: a group has things of other fleets as well, and the ledger tells those of this one.
    """
    names: set[str] | None = None
    for each in arguments.group:
        found = set(_in_group(each, deployment))
        names = found if names is None else names & found
    if arguments.attribute:
        # One call filters by one attribute; the page has all of them.
        wanted = dict(arguments.attribute)
        if len(wanted) < len({*arguments.attribute}):
            return set()  # one attribute has one value
        found = set(_with_attributes(wanted, deployment))
        names = found if names is None else names & found
    return names


def _in_group(name: str, deployment: Deployment) -> Iterator[str]:
    pages = deployment.iot.get_paginator("list_things_in_thing_group").paginate(
        thingGroupName=name, PaginationConfig={"PageSize": _THINGS_A_PAGE}
    )
    try:
        for page in pages:
            yield from page["things"]
    except deployment.iot.exceptions.ResourceNotFoundException:
        raise Refused(f"AWS IoT has no thing group {name!r}.", cure="aws iot list-thing-groups") from None


def _with_attributes(wanted: Mapping[str, str], deployment: Deployment) -> Iterator[str]:
    (name, value), *_ = wanted.items()
    pages = deployment.iot.get_paginator("list_things").paginate(
        attributeName=name, attributeValue=value, PaginationConfig={"PageSize": _THINGS_A_PAGE}
    )
    fleet = deployment.outputs.fleet
    for page in pages:
        for thing in page["things"]:
            has = thing.get("attributes", {})
            if wanted.items() <= has.items() and has.get(THING_MARK, fleet) == fleet:
                yield thing["thingName"]


def _seen(arguments: argparse.Namespace, deployment: Deployment) -> set[str]:
    """The names of the things that were connected lately, as --not-seen-for says it."""
    if not arguments.not_seen_for:
        return set()
    moment = int(time.time()) - arguments.not_seen_for
    found = connections(deployment, prefix=arguments.prefix or "")
    return {name for name, connection in found.items() if connection.seen_after(moment)}
