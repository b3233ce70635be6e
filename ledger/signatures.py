"""How many device certificates the key of a CA in KMS has signed, as those count who ask for a signature.

KMS itself tells nobody without CloudTrail. So the functions count before they ask, the one place where a fleet's CA
signs for devices, and the audit holds the count against the certificates on record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.changes import Changes
from ledger.items import signatures_key


@dataclass(frozen=True, kw_only=True)
class SignatureCount:
    """What became of one CA's signatures for devices.

    Attributes:
        made: were asked for. A count whose reply was lost is repeated by the SDK, and a signature that failed was
            counted all the same: it is never less than what was signed, and may be a few more. Signatures of releases
            that did not count yet are not in it, so an audit compares increases.
        erased: certificates that the ledger has forgotten on purpose since it counts: those of ``verify``'s throw-away
            devices. A ``verify`` of an earlier release does not count them.
    """

    made: int = 0
    erased: int = 0


class Signatures(Changes):
    """The count of each CA. One item takes 1,000 writes a second, a hundred times what AWS IoT registers."""

    def count_signature(self, ca_id: str) -> None:
        """Count a signature before it is made. One plain write, half the price of a transaction.

        Nothing else may write this item in a transaction: that would refuse devices which enroll meanwhile.

        Args:
            ca_id: the id of the CA's certificate.
        """
        self._table.write_alone(self._table.update(*signatures_key(ca_id), add={"made": 1}, condition=""))

    def signatures(self, ca_ids: Iterable[str]) -> dict[str, SignatureCount]:
        """The counts of these CAs, all zero of one that has never signed."""
        return {each: self._signatures_of(each) for each in ca_ids}

    def _signatures_of(self, ca_id: str) -> SignatureCount:
        """The two counts are two items: see ``ledger.erasure``."""
        counts: dict[str, int] = {}
        for item in self._table.query(signatures_key(ca_id)[0]):
            counts |= {name: item[name] for name in ("made", "erased") if name in item}
        return SignatureCount(**counts)
