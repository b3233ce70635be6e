"""Conditional writes to one DynamoDB table, of items that hold only text, whole numbers and booleans.

Plain boto3 needs each value wrapped in its type; boto3's own resource layer would do that, at the price of
another 60 ms at each cold start.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ledger.throttling import CANCELED, is_throttling, reasons

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Of one transaction (DynamoDB quota).
MAX_WRITES = 100
# Of one BatchGetItem (DynamoDB API reference).
MAX_KEYS = 100
# Seconds before what a BatchGetItem left over is asked for again: it leaves over what was too much at once.
_PAUSES = (0.1, 0.3, 1.0, 3.0)
# The longest pauses, in seconds, before a transaction that was throttled is tried again: those of the SDK's standard
# mode, which tries other throttled calls again, and not a transaction that was canceled because of it.
_CANCELED_PAUSES = (1.0, 2.0)

Value = str | int | bool
Item = dict[str, Any]


class ConditionFailed(Exception):
    """The condition did not hold, or another transaction held the item. Nothing was written."""


class Incomplete(Exception):
    """DynamoDB has too much to do, and sends a part of what was asked for."""


@dataclass(frozen=True, kw_only=True)
class Write:
    """One write of a transaction: ``Put``, ``Update``, ``Delete`` or ``ConditionCheck``, ready for DynamoDB."""

    kind: str
    request: Mapping[str, Any] = field(default_factory=dict)


class Table:
    """One table with the keys ``pk`` and ``sk``, both text. Reads are strongly consistent but for an index's."""

    def __init__(self, *, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, pk: str, sk: str) -> Item | None:
        reply = self._client.get_item(TableName=self._name, Key=_wrap({"pk": pk, "sk": sk}), ConsistentRead=True)
        return _unwrap(reply["Item"]) if "Item" in reply else None

    def query(self, pk: str, *, prefix: str = "") -> Iterator[Item]:
        """The items under one partition key whose sort key begins with ``prefix``, in the sort key's order."""
        condition, values = "pk = :pk", {":pk": pk}
        if prefix:
            condition, values = condition + " AND begins_with(sk, :sk)", {**values, ":sk": prefix}
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=_wrap(values),
            ConsistentRead=True,
        )
        for page in pages:
            yield from (_unwrap(item) for item in page["Items"])

    def listing(
        self,
        kind: str,
        *,
        between: tuple[str, str] | None = None,
        condition: str = "",
        values: Mapping[str, Value] | None = None,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """The items of one kind through the index ``listing``: a moment old, with small attributes only.

        They come by ``pk``, in pages of 1 MB of what is read (DynamoDB API reference, Query).

        Args:
            between: the first and the last ``pk``.
            condition: as in ``update``; DynamoDB sends the items that it holds for.
            limit: read no more than this many; only without a condition, since DynamoDB counts before it checks.
        """
        request = self._listing(kind, between, condition, values or {})
        if limit is not None and not condition:
            request["Limit"] = limit
        pages = self._client.get_paginator("query").paginate(**request)
        items = (_unwrap(item) for page in pages for item in page["Items"])
        yield from items if limit is None else islice(items, limit)

    def count_listing(
        self,
        kind: str,
        *,
        between: tuple[str, str] | None = None,
        condition: str = "",
        values: Mapping[str, Value] | None = None,
    ) -> int:
        """How many ``listing`` would give. DynamoDB reads as much, and sends nothing of it."""
        request = self._listing(kind, between, condition, values or {}) | {"Select": "COUNT"}
        return sum(page["Count"] for page in self._client.get_paginator("query").paginate(**request))

    def _listing(
        self, kind: str, between: tuple[str, str] | None, condition: str, values: Mapping[str, Value]
    ) -> dict[str, Any]:
        keys, bound = "listing = :kind", {"kind": kind, **values}
        if between is not None:
            keys += " AND pk BETWEEN :first AND :last"
            bound |= {"first": between[0], "last": between[1]}
        request: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": "listing",
            "KeyConditionExpression": keys,
            "ExpressionAttributeValues": _wrap({f":{name}": value for name, value in bound.items()}),
        }
        if condition:
            request["FilterExpression"] = condition
            request["ExpressionAttributeNames"] = {each: each[1:] for each in sorted({*re.findall(r"#\w+", condition)})}
        return request

    def scan(
        self, *, segment: int, of_segments: int, condition: str, values: Mapping[str, Value], attributes: Sequence[str]
    ) -> Iterator[list[Item]]:
        """One segment of the whole table, a page at a time: a moment old, the items of a partition key together.

        DynamoDB reads 1 MB of items a page, whatever of them it then sends, and that is what it charges for
        (DynamoDB Developer Guide, "Scanning tables"). The segments can be read side by side.

        Args:
            condition: as in ``update``; it may also be about ``pk`` and ``sk``.
            attributes: what is sent of an item.
        """
        names = {*re.findall(r"#\w+", condition), *(f"#{name}" for name in attributes)}
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._name,
            Segment=segment,
            TotalSegments=of_segments,
            FilterExpression=condition,
            ProjectionExpression=", ".join(f"#{name}" for name in attributes),
            ExpressionAttributeNames={name: name[1:] for name in sorted(names)},
            ExpressionAttributeValues=_wrap({f":{name}": value for name, value in values.items()}),
        )
        for page in pages:
            yield [_unwrap(item) for item in page["Items"]]

    def everything(self) -> Iterator[Item]:
        """Every item of the table with all that it has, in no order."""
        for page in self._client.get_paginator("scan").paginate(TableName=self._name, ConsistentRead=True):
            yield from (_unwrap(item) for item in page["Items"])

    def get_many(self, keys: Iterable[tuple[str, str]], *, attributes: Sequence[str]) -> Iterator[Item]:
        """The items that exist of these keys, in no order, by 100 a call: a moment old.

        Raises:
            Incomplete: DynamoDB has left some of them over, again and again.
        """
        waiting = iter(keys)
        while chosen := [_wrap({"pk": pk, "sk": sk}) for pk, sk in islice(waiting, MAX_KEYS)]:
            pauses = iter(_PAUSES)
            while chosen:
                reply = self._client.batch_get_item(
                    RequestItems={
                        self._name: {
                            "Keys": chosen,
                            "ProjectionExpression": ", ".join(f"#{name}" for name in attributes),
                            "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
                        }
                    }
                )
                yield from (_unwrap(item) for item in reply["Responses"].get(self._name, []))
                left_over = reply.get("UnprocessedKeys", {})
                chosen = [dict(key) for key in left_over[self._name]["Keys"]] if self._name in left_over else []
                if chosen:
                    pause = next(pauses, None)
                    if pause is None:
                        raise Incomplete(f"DynamoDB left over {len(chosen)} items of a BatchGetItem.")
                    time.sleep(pause)

    def put(self, item: Item, *, condition: str = "", **values: Value) -> Write:
        """A write of a whole item."""
        return Write(kind="Put", request=self._request(condition, values) | {"Item": _wrap(item)})

    def delete(self, pk: str, sk: str, *, condition: str = "", **values: Value) -> Write:
        return Write(kind="Delete", request=self._request(condition, values) | self._key(pk, sk))

    def check(self, pk: str, sk: str, *, condition: str, **values: Value) -> Write:
        return Write(kind="ConditionCheck", request=self._request(condition, values) | self._key(pk, sk))

    def update(
        self,
        pk: str,
        sk: str,
        *,
        set: Item | None = None,
        add: Mapping[str, int] | None = None,
        copy: Mapping[str, str] | None = None,
        remove: Sequence[str] = (),
        condition: str,
        **values: Value,
    ) -> Write:
        """A write of some attributes. In ``condition``, ``#name`` is an attribute and ``:name`` one of ``values``.

        Args:
            add: numbers that attributes grow by.
            copy: attributes that take the value which another attribute of the item had before this write.
        """
        sets, adds, copies = set or {}, add or {}, copy or {}
        clauses = {
            "SET": [
                *(f"#{name} = :new_{name}" for name in sets),
                *(f"#{name} = #{source}" for name, source in copies.items()),
            ],
            "ADD": [f"#{name} :new_{name}" for name in adds],
            "REMOVE": [f"#{name}" for name in remove],
        }
        expression = " ".join(f"{clause} {', '.join(parts)}" for clause, parts in clauses.items() if parts)
        request = self._request(condition, values, names=[*sets, *adds, *copies, *copies.values(), *remove])
        new = {f":new_{name}": value for name, value in {**sets, **adds}.items()}
        request["ExpressionAttributeValues"] = {**request.get("ExpressionAttributeValues", {}), **_wrap(new)}
        return Write(kind="Update", request=request | self._key(pk, sk) | {"UpdateExpression": expression})

    def write(self, *writes: Write) -> None:
        """Do all the writes, or none.

        boto3 gives a transaction an idempotency token and keeps it when it retries, so a reply that is lost on the
        way does not make the retry fail its own condition. That is worth the price of a transaction also for a
        single write, unless its condition holds a second time (``write_alone``).

        Raises:
            ConditionFailed: a condition did not hold, or another transaction is writing the same items.
        """
        pauses = iter(_CANCELED_PAUSES)
        while True:
            try:
                self._client.transact_write_items(
                    TransactItems=[{write.kind: dict(write.request)} for write in writes]  # type: ignore[misc]
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != CANCELED:
                    raise
                if reasons(error) <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
                    raise ConditionFailed from None
                pause = next(pauses, None) if is_throttling(error) else None
                if pause is None:
                    raise
                time.sleep(random.random() * pause)  # noqa: S311  it spreads load, and guards nothing
            else:
                return

    def write_alone(self, update: Write) -> Item:
        """Do one update without a transaction, at half the price, and return the item as it is after it.

        Its condition must also hold when it has been done already: when the reply is lost on the way, boto3 does it
        again. So ``write`` is for all others.

        Raises:
            ConditionFailed: the condition did not hold, or a transaction is writing the same item.
        """
        try:
            reply = self._client.update_item(**update.request, ReturnValues="ALL_NEW")
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code in ("ConditionalCheckFailedException", "TransactionConflictException"):
                raise ConditionFailed from None
            raise
        return _unwrap(reply["Attributes"])

    def _request(self, condition: str, values: Mapping[str, Value], *, names: Sequence[str] = ()) -> dict[str, Any]:
        request: dict[str, Any] = {"TableName": self._name}
        attributes = {*re.findall(r"#\w+", condition), *(f"#{name}" for name in names)}
        if condition:
            request["ConditionExpression"] = condition
        if attributes:
            request["ExpressionAttributeNames"] = {name: name.removeprefix("#") for name in sorted(attributes)}
        if values:
            request["ExpressionAttributeValues"] = _wrap({f":{name}": value for name, value in values.items()})
        return request

    @staticmethod
    def _key(pk: str, sk: str) -> dict[str, Any]:
        return {"Key": _wrap({"pk": pk, "sk": sk})}


def _wrap(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _wrap_value(value) for name, value in item.items() if value is not None}


def _wrap_value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": str(value)}


def _unwrap(item: Mapping[str, Any]) -> Item:
    return {name: _unwrap_value(value) for name, value in item.items()}


def _unwrap_value(value: Mapping[str, Any]) -> Value:
    ((kind, inner),) = value.items()
    return int(inner) if kind == "N" else inner
