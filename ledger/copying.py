"""The whole ledger as plain items, out of one table and into another: for a backup, and for what comes back from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from ledger.dynamodb import MAX_WRITES, ConditionFailed, Item
from ledger.errors import WrongState
from ledger.reading import Reading

# What a moment has made, and no other moment needs: who waits for which turn, and how many keys have ever asked.
_OF_THE_MOMENT = ("turns", "requests-counted", "restore")
# Of a request that is at work.
_OF_A_REQUEST = ("lease", "lease_until")

_BEGUN = ("restore", "restore")

# Characters of JSON. DynamoDB takes 4 MB in a transaction (API reference, TransactWriteItems), and an audit with many
# findings is items of 100 kB; half of it leaves room for what takes several bytes.
_MOST_IN_A_WRITE = 2_000_000


class Copying(Reading):
    """Reads and writes items as they are. It knows no states: ``audit`` finds what does not fit AWS IoT."""

    def copied(self) -> Iterator[Item]:
        """Every item that is worth keeping, in no order; each as it is when it is read.

        Tokens are among them as hashes of 256 random bits, which tell nobody a token: a device that was invited before
        enrolls with its token afterwards.
        """
        for item in self._table.everything():
            if item["pk"] not in _OF_THE_MOMENT:
                yield {name: value for name, value in item.items() if name not in _OF_A_REQUEST}

    def refuse_to_put_back(self, digest: str) -> None:
        """Only into a ledger without devices, or where ``put_back`` was begun with the same backup.

        What is there is left alone by it, but a device that was removed since the backup would come back.

        Args:
            digest: tells the backup from any other.

        Raises:
            WrongState: the ledger has devices, or another backup was begun with.
        """
        begun = self._table.get(*_BEGUN)
        if begun is not None and begun["digest"] != digest:
            raise WrongState("Another backup was begun to be restored into this ledger, and has to be finished first.")
        if begun is None and any(item["pk"].startswith("device#") for item in self._table.everything()):
            raise WrongState("The ledger has devices, or had some: a backup is restored into an empty one.")

    def begin_putting_back(self, digest: str) -> None:
        """Before ``put_back``.

        Raises:
            WrongState: as ``refuse_to_put_back``.
        """
        self.refuse_to_put_back(digest)
        pk, sk = _BEGUN
        self._table.write(self._table.put({"pk": pk, "sk": sk, "digest": digest}))

    def end_putting_back(self) -> None:
        """After ``put_back``. Doing it twice is doing it once."""
        self._table.write(self._table.delete(*_BEGUN))

    def put_back(self, items: Iterable[Item]) -> Iterator[int]:
        """Write items that are not there; one that is stays as it is. Yields how many of each write were not there.

        Doing it twice is doing it once, also after an interruption.
        """
        for some in _in_writes(items):
            try:
                self._table.write(*(self._table.put(each, condition="attribute_not_exists(#pk)") for each in some))
                yield len(some)
            except ConditionFailed:
                yield sum(self._put_back(each) for each in some)

    def _put_back(self, item: Item) -> bool:
        try:
            self._table.write(self._table.put(item, condition="attribute_not_exists(#pk)"))
        except ConditionFailed:
            return False
        return True


def _in_writes(items: Iterable[Item]) -> Iterator[list[Item]]:
    """As many of them in a row as one transaction takes."""
    some: list[Item] = []
    size = 0
    for item in items:
        length = len(json.dumps(item))
        if some and (len(some) == MAX_WRITES or size + length > _MOST_IN_A_WRITE):
            yield some
            some, size = [], 0
        some.append(item)
        size += length
    if some:
        yield some
