"""``zymkey-fleet list``: the devices, or those that filters choose.

AWS actions: cloudformation:DescribeStacks, dynamodb:Query on the table's index ``listing``; with --group
iot:ListThingsInThingGroup, with --attribute iot:ListThings, with --seen and --not-seen-for iot:SearchIndex; with
--issued-by, for a CA's name, dynamodb:GetItem, iot:ListCACertificates, DescribeCACertificate, ListTagsForResource.
"""

import argparse
import heapq
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.arguments import add_deployment, add_examples, device_name, positive
from fleet.deployment import Deployment, open_deployment
from fleet.errors import UsageError
from fleet.filters import add_filters, counted, filtered, has_filters
from fleet.last_seen import NEVER, Connection, connections
from fleet.output import iso, note, print_csv, print_json, print_json_lines, print_json_list, print_line, print_table
from ledger import Device, shown_state


def configure(parser: argparse.ArgumentParser) -> None:
    add_filters(parser)
    shown = parser.add_argument_group("what is shown of them")
    shown.add_argument(
        "--seen",
        action="store_true",
        help="also whether each device is connected, and since when; needs the fleet index of AWS IoT",
    )
    shown.add_argument(
        "--sort",
        choices=sorted(_ORDERS),
        default="name",
        help="by name (default), by the certificate's end, the nearest first, or by when it was last connected, the "
        "longest ago first (as --seen)",
    )
    shown.add_argument("--limit", metavar="N", type=positive, help="the first N devices")
    shown.add_argument("--after", metavar="NAME", type=device_name, help="those that follow this name, in name's order")
    shown.add_argument("--count", action="store_true", help="only how many there are")
    form = shown.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON on stdout, errors too")
    form.add_argument("--json-lines", action="store_true", help="print one JSON object a line, for very long lists")
    form.add_argument(
        "--csv", action="store_true", help="print CSV, with the columns of --json and the states of the table"
    )
    add_deployment(parser)
    parser.epilog = """\
States: invited (has not enrolled yet), invited-expired (its token is of no use any more), pending (enrolls now, or
waits for a signature), enrolled, blocked. The list can be a moment behind the latest change.
JSON: a list of name, state, fingerprint, certificateId, certificateExpires, tokenExpires; with --seen also connected
and connectionChanged. In JSON an invitation that has expired is invited. With --count: count."""
    add_examples(
        parser,
        "zymkey-fleet list",
        "zymkey-fleet list --state enrolled --expires-within 30d --sort expires",
        "zymkey-fleet list --prefix cam- --seen --csv",
        "zymkey-fleet list --group roof --count",
        "zymkey-fleet list --json | jq -r '.[].name'",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """What is shown of one device; a list that is sorted has all of them in memory."""

    name: str
    state: str
    shown_state: str
    fingerprint: str | None
    certificate_id: str | None
    not_after: int | None
    token_expires: int | None
    connection: Connection | None


# By name is the index's order, which needs no sorting. What has no such time comes last.
_ORDERS: Mapping[str, Callable[[_Row], Any] | None] = {
    "name": None,
    "expires": lambda row: (row.not_after is None, row.not_after or 0, row.name),
    "seen": lambda row: _not_seen_first(row.connection or NEVER, row.name),
}


def run(arguments: argparse.Namespace) -> int:
    key = _ORDERS[arguments.sort]
    if arguments.count and (arguments.limit or arguments.after):
        raise UsageError("--count counts all: it has no --limit and no --after.", cure="leave out --limit and --after")
    if arguments.after and key is not None:
        raise UsageError("--after is a name: it needs the order of names.", cure="leave out --sort, or --after")
    deployment = open_deployment(arguments)
    if arguments.count:
        return _print_count(counted(arguments, deployment), arguments)
    rows = _rows(arguments, deployment)
    if key is not None:
        rows = iter(heapq.nsmallest(arguments.limit, rows, key) if arguments.limit else sorted(rows, key=key))
    counting = _Counting(rows, arguments)
    _print(counting, arguments)
    if counting.number:
        if key is None and counting.number == arguments.limit:
            note(f"If there are more: the same command with --after {counting.last}")
    elif has_filters(arguments) or arguments.after:
        note("No device is what the filters say.")
    elif not (arguments.json or arguments.json_lines):
        note("There are no devices yet. Let one in with `zymkey-fleet invite NAME`.")
    return 0


def _print_count(number: int, arguments: argparse.Namespace) -> int:
    if arguments.json or arguments.json_lines:
        print_json({"count": number})
    else:
        print_line(str(number))
    return 0


def _rows(arguments: argparse.Namespace, deployment: Deployment) -> Iterator[_Row]:
    seen = None
    if arguments.seen or arguments.sort == "seen":
        seen = connections(deployment, prefix=arguments.prefix or "")
    # Sorted otherwise, the first ones are known when all are.
    limit = arguments.limit if arguments.sort == "name" else None
    now = int(time.time())
    for device in filtered(arguments, deployment, after=arguments.after or "", limit=limit):
        connection = None if seen is None else seen.get(device.name, NEVER)
        yield _row(device, now, connection)


def _row(device: Device, now: int, connection: Connection | None) -> _Row:
    return _Row(
        name=device.name,
        state=device.state,
        shown_state=shown_state(device, now),
        fingerprint=device.fingerprint,
        certificate_id=device.certificate_id,
        not_after=device.not_after,
        token_expires=device.token_expires,
        connection=connection,
    )


def _not_seen_first(connection: Connection, name: str) -> tuple[int, int, str]:
    if connection.connected:
        return 2, 0, name
    return (0, 0, name) if connection.since is None else (1, connection.since, name)


class _Counting:
    """The rows on their way to the output: how many they are, and which was the last."""

    def __init__(self, rows: Iterator[_Row], arguments: argparse.Namespace) -> None:
        self._rows = rows
        self._arguments = arguments
        self.number = 0
        self.last = ""

    def __iter__(self) -> Iterator[_Row]:
        for row in self._rows:
            # An error that comes later is told on standard error: within a list its object would be a device.
            self._arguments.json = False
            self.number += 1
            self.last = row.name
            yield row


def _print(rows: _Counting, arguments: argparse.Namespace) -> None:
    with_seen = arguments.seen or arguments.sort == "seen"
    if arguments.json:
        print_json_list(_as_json(row) for row in rows)
    elif arguments.json_lines:
        print_json_lines(_as_json(row) for row in rows)
    elif arguments.csv:
        print_csv([*_MEMBERS, *(_SEEN_MEMBERS if with_seen else ())], (_in_csv(row) for row in rows))
    else:
        heads = ["NAME", "STATE", "FINGERPRINT", "CERTIFICATE-EXPIRES", *(["LAST-SEEN"] if with_seen else ())]
        print_table(heads, (_in_columns(row) for row in rows))


_MEMBERS = ("name", "state", "fingerprint", "certificateId", "certificateExpires", "tokenExpires")
_SEEN_MEMBERS = ("connected", "connectionChanged")


def _as_json(row: _Row) -> dict[str, Any]:
    times = iso(row.not_after), iso(row.token_expires)
    shown: dict[str, Any] = dict(
        zip(_MEMBERS, (row.name, row.state, row.fingerprint, row.certificate_id, *times), strict=True)
    )
    if row.connection is not None:
        shown |= zip(_SEEN_MEMBERS, (row.connection.connected, iso(row.connection.since)), strict=True)
    return shown


def _in_csv(row: _Row) -> list[str | None]:
    """As the table has it: there is a word for an invitation that has expired."""
    shown = _as_json(row) | {"state": row.shown_state}
    return [str(each).lower() if isinstance(each, bool) else each for each in shown.values()]


def _in_columns(row: _Row) -> list[str | None]:
    """One word a column, so that columns can be cut: hence the hyphen in ``invited-expired``."""
    seen = [] if row.connection is None else [str(row.connection)]
    return [row.name, row.shown_state, row.fingerprint, iso(row.not_after), *seen]
