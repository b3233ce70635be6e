"""Whether each device has its thing, with the fleet's mark and what the settings and the operator gave it.

Of AWS IoT's lists a few bytes a thing are kept, and of the ledger's devices eight each: only what does not agree is
read one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from audit.declared import Declared
from audit.judgement import Finding, Kind
from ledger import THING_MARK, Ledger, State, SurveyedDevice, ThingProfile

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

_PAGE_SIZE = 250
# More differ only when a setting has changed, or the whole fleet is of the first release: they are counted.
MOST_READ_AGAIN = 5_000

Page = tuple[Callable[[Any], None], list[Any]]


class Facts:
    """A set of very many tuples of text, in 8 bytes each: a million take 8 MB. By hash, so one in 10^13 is wrong."""

    _PLACES = 4096

    def __init__(self) -> None:
        self._places = [bytearray() for _ in range(self._PLACES)]

    def add(self, *fact: str) -> None:
        place, key = self._place(fact)
        place += key

    def __contains__(self, fact: tuple[str, ...]) -> bool:
        place, key = self._place(fact)
        at = place.find(key)
        while at % len(key) and at >= 0:  # by chance, across two of them
            at = place.find(key, at + 1)
        return at >= 0

    def _place(self, fact: tuple[str, ...]) -> tuple[bytearray, bytes]:
        key = hashlib.blake2b("\0".join(fact).encode(), digest_size=8).digest()
        return self._places[int.from_bytes(key[:2], "big") % self._PLACES], key


class Things:
    """The things of one fleet, beside its devices."""

    def __init__(self, *, iot: IoTClient, ledger: Ledger, declared: Declared) -> None:
        self._iot = iot
        self._ledger = ledger
        self._fleet = declared.fleet
        self._attributes: Mapping[str, str] = declared.things.get("attributes", {})
        self._groups = tuple(declared.things.get("groups", ()))
        self._usable = tuple(dict.fromkeys((*self._groups, *declared.things.get("allowedGroups", ()))))
        self._gone_groups: list[str] = []
        self._facts, self._devices = Facts(), Facts()
        self._names = bytearray()  # of the things with the mark, a line each: no name has a line break
        self._differing: list[str] = []
        self._further = 0

    # What is read in pages

    def sources(self) -> list[Callable[[], Iterator[Page]]]:
        """The lists of AWS IoT to read, each page with what it is to be given to. None where nothing is compared.

        Calls iot:ListThings and ListThingsInThingGroup.
        """
        return [self._marked, self._in_groups] if self._fleet else []

    def _marked(self) -> Iterator[Page]:
        pages = self._iot.get_paginator("list_things").paginate(
            attributeName=THING_MARK, attributeValue=self._fleet, PaginationConfig={"PageSize": _PAGE_SIZE}
        )
        for page in pages:
            yield self._note_thing, list(page["things"])

    def _in_groups(self) -> Iterator[Page]:
        for group in self._usable:
            pages = self._iot.get_paginator("list_things_in_thing_group").paginate(
                thingGroupName=group, PaginationConfig={"PageSize": _PAGE_SIZE}
            )
            try:
                for page in pages:
                    yield self._note_member, [(group, name) for name in page["things"]]
            except self._iot.exceptions.ResourceNotFoundException:
                self._gone_groups.append(group)

    def _note_thing(self, thing: Mapping[str, Any]) -> None:
        name = thing["thingName"]
        self._facts.add(name)
        for attribute, value in thing.get("attributes", {}).items():
            self._facts.add(name, "attribute", attribute, value)
        self._names += name.encode() + b"\n"

    def _note_member(self, member: tuple[str, str]) -> None:
        group, name = member
        self._facts.add(name, "group", group)

    # What the ledger has

    def note_device(self, device: SurveyedDevice) -> None:
        """Note a device of the ledger, after the lists were read."""
        if not self._fleet or device.state is None:
            return
        self._devices.add(device.name)
        if device.state is not State.ENROLLED or all(each in self._facts for each in self._expected(device)):
            return
        if len(self._differing) < MOST_READ_AGAIN:
            self._differing.append(device.name)
        else:
            self._further += 1

    def _expected(self, device: SurveyedDevice) -> Iterator[tuple[str, ...]]:
        profile = ThingProfile.decode(device.thing)
        yield (device.name,)
        for attribute, value in self._attributes_of(profile).items():
            yield device.name, "attribute", attribute, value
        for group in self._groups_of(profile):
            yield device.name, "group", group

    def _attributes_of(self, profile: ThingProfile) -> dict[str, str]:
        return {**self._attributes, **profile.attributes}

    def _groups_of(self, profile: ThingProfile) -> list[str]:
        """Those that it should be in, and that there are."""
        named = dict.fromkeys((*self._groups, *profile.groups))
        return [each for each in named if each in self._usable and each not in self._gone_groups]

    # What does not agree

    def differing(self) -> list[str]:
        """The names of devices whose thing seems to be another than it should be."""
        return self._differing

    def without_device(self) -> Iterator[str]:
        """The names of things with the fleet's mark that no device seems to have."""
        for line in bytes(self._names).splitlines():
            if (line.decode(),) not in self._devices:
                yield line.decode()

    def not_looked_at(self) -> Iterator[Finding]:
        """What is not about one device."""
        for group in self._gone_groups:
            yield Finding(kind=Kind.THING_DRIFTED, detail=f"there is no thing group {group}")
        if self._further:
            detail = f"{self._further} more differ, and were not read one by one"
            yield Finding(kind=Kind.THING_DRIFTED, detail=detail)

    def judge_thing(self, name: str) -> Finding | None:
        """What is wrong with an enrolled device's thing, read anew.

        Calls iot:DescribeThing and ListThingGroupsForThing.
        """
        device = self._ledger.device(name)
        if device is None or device.state is not State.ENROLLED:
            return None
        try:
            thing = self._iot.describe_thing(thingName=name)
        except self._iot.exceptions.ResourceNotFoundException:
            return Finding(kind=Kind.THING_MISSING, device=name)
        attributes = thing.get("attributes", {})
        owner = attributes.get(THING_MARK)
        if owner != self._fleet:
            kind = Kind.THING_UNMARKED if owner is None else Kind.THING_FOREIGN
            return Finding(kind=kind, device=name, detail="" if owner is None else f"of the fleet {owner}")
        wanted = self._attributes_of(device.profile)
        wrong = [
            f"attribute {attribute} is {attributes[attribute]}, not {value}"
            if attribute in attributes
            else f"no attribute {attribute}"
            for attribute, value in wanted.items()
            if attributes.get(attribute) != value
        ]
        is_in = self._groups_now(name)
        wrong += [f"not in the group {group}" for group in self._groups_of(device.profile) if group not in is_in]
        return Finding(kind=Kind.THING_DRIFTED, device=name, detail="; ".join(wrong)) if wrong else None

    def _groups_now(self, name: str) -> set[str]:
        if not self._usable:
            return set()
        pages = self._iot.get_paginator("list_thing_groups_for_thing").paginate(thingName=name)
        with suppress(self._iot.exceptions.ResourceNotFoundException):
            return {group["groupName"] for page in pages for group in page["thingGroups"]}
        return set()

    def judge_left(self, name: str) -> Finding | None:
        """Whether a thing with the fleet's mark has no device, read anew. Calls iot:DescribeThing."""
        if self._ledger.device(name) is not None:
            return None
        with suppress(self._iot.exceptions.ResourceNotFoundException):
            thing = self._iot.describe_thing(thingName=name)
            if thing.get("attributes", {}).get(THING_MARK) == self._fleet:
                return Finding(kind=Kind.THING_LEFT, device=name)
        return None
