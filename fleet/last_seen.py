"""When a device was last connected, as AWS IoT's fleet index knows it.

The index is AWS's own, of one account and Region, and off until an administrator switches it on: ``SWITCH_ON``. It
knows MQTT connections whose client id is the thing's name; a device that only publishes over HTTPS never shows in it.
(AWS IoT Developer Guide, "Managing fleet indexing" and "Device connectivity status queries"; API reference, SearchIndex
and ThingConnectivity. docs/scale.md compares it with presence events, and says what it costs.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from fleet.errors import Refused
from fleet.output import iso
from ledger import THING_MARK

if TYPE_CHECKING:
    from fleet.deployment import Deployment

# It replaces the whole of an account's configuration of its index of things, also its shadows and custom fields: hence
# the question before it.
SWITCH_ON = (
    "aws iot update-indexing-configuration --thing-indexing-configuration "
    "thingIndexingMode=REGISTRY,thingConnectivityIndexingMode=STATUS"
)
_CURE = (
    f"ask who looks after the AWS account to switch it on for this Region, for everybody in it: {SWITCH_ON} (it "
    "replaces what `aws iot get-indexing-configuration` shows as thingIndexingConfiguration: where its "
    "thingIndexingMode is not OFF, give all of that again, and thingConnectivityIndexingMode=STATUS)"
)
_INDEX = "AWS_Things"
_PAGE = 100  # the most that SearchIndex gives (API reference)


class NotIndexed(Refused):
    """AWS IoT does not know who is connected: its fleet index, or the connections in it, are switched off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """Whether a device is connected, and since when; ``since`` is None when it never was as far as AWS IoT knows."""

    connected: bool
    since: int | None  # seconds since 1970

    def __str__(self) -> str:
        """For a cell of a table: one word."""
        if self.since is None:
            return "connected" if self.connected else "never"
        return f"{'connected' if self.connected else 'disconnected'}:{iso(self.since)}"

    def seen_after(self, moment: int) -> bool:
        return self.connected or (self.since is not None and self.since > moment)


NEVER = Connection(connected=False, since=None)


def connections(deployment: Deployment, *, prefix: str = "") -> Mapping[str, Connection]:
    """The connection of each of the fleet's things, by name.

    Calls iot:SearchIndex once for 100 things of the account and Region (those of other fleets are left out here: what
    a hyphen means in a query's field is written nowhere). About 200 bytes of memory a thing.

    Args:
        prefix: of the names that are wanted; what is before its first hyphen is left to the index.

    Raises:
        NotIndexed: AWS IoT does not know.
        ClientError, BotoCoreError: AWS does not answer, or refuses.
    """
    word = re.match(r"[A-Za-z0-9_]*", prefix)
    query = f"thingName:{word[0] if word else ''}*"
    return {name: connection for name, connection in _search(deployment, query) if name.startswith(prefix)}


def connection(deployment: Deployment, name: str) -> Connection:
    """The connection of one device. Calls iot:SearchIndex once.

    Raises:
        NotIndexed, ClientError, BotoCoreError: as ``connections``.
    """
    return dict(_search(deployment, f'thingName:"{name}"')).get(name, NEVER)


def _search(deployment: Deployment, query: str) -> Iterator[tuple[str, Connection]]:
    """What AWS IoT knows of the things that it has a connection of.

    That one which was never connected has an empty one is written nowhere: without any, it is as if it was never found.
    """
    fleet = deployment.outputs.fleet
    more: dict[str, str] = {}
    is_known = False
    while True:
        try:
            page = deployment.iot.search_index(indexName=_INDEX, queryString=query, maxResults=_PAGE, **more)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("ResourceNotFoundException", "IndexNotReadyException"):
                raise _not_indexed(error) from None
            raise
        things = page.get("things", [])
        connected = [thing for thing in things if "connectivity" in thing]
        is_known = is_known or bool(connected)
        if things and not is_known:
            raise NotIndexed(
                "The fleet index of AWS IoT is on in this account, but not for connections; or there were none yet.",
                cure=_CURE,
            )
        for thing in connected:
            # What the first release made has no mark; the ledger's names tell it from a stranger's.
            if thing.get("attributes", {}).get(THING_MARK, fleet) == fleet:
                yield thing["thingName"], _connection(thing["connectivity"])
        if not page.get("nextToken"):
            return
        more = {"nextToken": page["nextToken"]}


def _connection(connectivity: Mapping[str, object]) -> Connection:
    timestamp = connectivity.get("timestamp")  # milliseconds
    since = timestamp // 1000 if isinstance(timestamp, int) and timestamp > 0 else None
    return Connection(connected=bool(connectivity.get("connected")), since=since)


def _not_indexed(error: ClientError) -> NotIndexed:
    if error.response["Error"]["Code"] == "IndexNotReadyException":
        return NotIndexed(
            "The fleet index of AWS IoT was switched on lately and is not ready yet.",
            cure="run the same command again in some minutes",
        )
    return NotIndexed("AWS IoT does not know who is connected: its fleet index is off in this account.", cure=_CURE)
