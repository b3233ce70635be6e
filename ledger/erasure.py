"""Devices that were made to be thrown away are forgotten, as if they had never been."""

from __future__ import annotations

from collections import Counter

from ledger.dynamodb import MAX_WRITES, ConditionFailed, Item, Write
from ledger.errors import Busy
from ledger.items import device_key, erased_key, key_key
from ledger.signatures import Signatures

# Of one transaction: each CA takes a write of its own beside the certificates, and one device rarely has had two.
_ROOM_FOR_COUNTS = 5


class Erasure(Signatures):
    """For ``verify``'s devices. Any other device is removed, and its certificates and its history stay on record."""

    def erase(self, name: str) -> None:
        """Forget all about a device, its certificates and its history as well. Doing it twice is doing it once.

        The certificates of a CA whose signatures are counted are counted as they go, in the same write
        (``SignatureCount.erased``): it has signed them, and they are not on record any more.

        Raises:
            Busy: somebody else erases it at the same time.
        """
        device = self.device(name)
        key = [self._table.delete(*key_key(device.fingerprint))] if device and device.fingerprint else []
        rest = [item for item in self._table.query(f"device#{name}") if item["sk"] != "device"]
        # The device comes first, and with its key: what an interruption leaves is found under its name again.
        first = [*key, self._table.delete(*device_key(name))]
        while first or rest:
            room = MAX_WRITES - len(first) - _ROOM_FOR_COUNTS
            try:
                self._table.write(*first, *self._forgetting(rest[:room]))
            except ConditionFailed:
                raise Busy(1) from None
            first, rest = [], rest[room:]

    def _forgetting(self, items: list[Item]) -> list[Write]:
        """The deletion of these items, with the counts of their certificates."""
        erased = Counter(each["issued_by"] for each in items if _is_certificate(each))
        signed = self.signatures(erased)
        return [
            # What another run has forgotten already must not be counted twice.
            *(
                self._table.delete(
                    each["pk"], each["sk"], condition="attribute_exists(#pk)" if _is_certificate(each) else ""
                )
                for each in items
            ),
            *(
                self._table.update(*erased_key(ca_id), add={"erased": number}, condition="")
                for ca_id, number in erased.items()
                if signed[ca_id].made
            ),
        ]


def _is_certificate(item: Item) -> bool:
    return bool(item["sk"].startswith("certificate#"))
