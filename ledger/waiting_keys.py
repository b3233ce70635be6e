"""Keys without an invitation wait for the operator's decision."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress

from ledger.changes import Changes
from ledger.dynamodb import MAX_WRITES, ConditionFailed, Write
from ledger.errors import Blocked, Busy, RequestsFull, WrongState
from ledger.items import fields_of
from ledger.records import Request

# What strangers can make the table hold: so many keys, for so long; and one of them alone, so that the others can ask.
MAX_REQUESTS = 200
MAX_REQUESTS_OF_SOURCE = 25
# With those that were rejected, which are read as well whenever an unknown key asks.
MAX_KEPT_REQUESTS = 1000
MAX_KEPT_REQUESTS_OF_SOURCE = 100
REQUEST_LIFE = 7 * 86_400

# Of keys that ask at the same moment, each is written only if no other was since this one counted.
_COUNTED = ("requests-counted", "requests-counted")
_MOST_COUNTS = 3


class WaitingKeys(Changes):
    """The keys that ask without an invitation. ``requests`` reads them, ``allow`` lets one in."""

    def hold_for_approval(self, *, fingerprint: str, suggested_name: str, now: int, source: str = "") -> Request:
        """Remember a key until the operator decides. Asking again changes nothing, so it grows no older than it is.

        Args:
            source: the address or the network that asks; each has its own share of what may wait. Without one,
                there is only the limit of all.

        Raises:
            Blocked: the operator has rejected this key.
            RequestsFull: ``MAX_REQUESTS`` keys wait already, or ``MAX_REQUESTS_OF_SOURCE`` of this source; or so many
                of it were rejected that it has no share of ``MAX_KEPT_REQUESTS`` left.
            Busy: other requests were faster, again and again.
        """
        request = Request(
            fingerprint=fingerprint,
            suggested_name=suggested_name,
            requested_at=now,
            expires_at=now + REQUEST_LIFE,
            source=source,
        )
        for _ in range(_MOST_COUNTS):
            with suppress(ConditionFailed):
                return self._held(request, now)
        raise Busy(1)

    def _held(self, request: Request, now: int) -> Request:
        """The request that waits for the key: the one that does already, or this one.

        Raises:
            ConditionFailed: another one was written since the requests were counted.
        """
        fingerprint, source = request.fingerprint, request.source
        counted = (self._table.get(*_COUNTED) or {}).get("requests", 0)
        requests = {each.fingerprint: each for each in self.requests() if each.expires_at > now}
        known = requests.get(fingerprint)
        if known and known.rejected:
            raise Blocked("The operator has rejected this key.")
        if known:
            return known
        _refuse_full(requests.values(), source)
        self._table.write(
            self._table.put(
                {"pk": "requests", "sk": fingerprint} | fields_of(request),
                condition="attribute_not_exists(#pk) OR #expires_at <= :now",
                now=now,
            ),
            self._table.update(
                *_COUNTED,
                set={"requests": counted + 1},
                condition="#requests = :counted" if counted else "attribute_not_exists(#requests)",
                **({"counted": counted} if counted else {}),
            ),
        )
        return request

    def reject(self, fingerprint: str, *, now: int) -> None:
        """Refuse a key that waits, until its request would have expired anyway.

        Raises:
            WrongState: no such key waits.
        """
        try:
            self._table.write(self._rejection(fingerprint, now))
        except ConditionFailed:
            raise WrongState(f"No key {fingerprint} waits for approval.") from None

    def reject_all(self, fingerprints: Iterable[str], *, now: int) -> list[str]:
        """Refuse many keys that wait, in few writes. Returns those that are refused now; one that is gone is not.

        Doing it twice is doing it once, also after an interruption.
        """
        chosen = set(fingerprints)
        waiting = [each.fingerprint for each in self.requests() if each.fingerprint in chosen]
        done: list[str] = []
        for start in range(0, len(waiting), MAX_WRITES):
            batch = waiting[start : start + MAX_WRITES]
            try:
                self._table.write(*(self._rejection(each, now) for each in batch))
                done += batch
            except ConditionFailed:  # one of them was decided on meanwhile
                done += [each for each in batch if self._reject_if_waiting(each, now)]
        return done

    def _reject_if_waiting(self, fingerprint: str, now: int) -> bool:
        try:
            self.reject(fingerprint, now=now)
        except WrongState:
            return False
        return True

    def _rejection(self, fingerprint: str, now: int) -> Write:
        return self._table.update(
            "requests",
            fingerprint,
            set={"rejected": True, "expires_at": now + REQUEST_LIFE},
            condition="attribute_exists(#pk)",
        )


def _refuse_full(requests: Collection[Request], source: str) -> None:
    """Rejected keys leave their places to other keys, but one source may not fill by them what is kept of all."""
    waiting = [each for each in requests if not each.rejected]
    if source and sum(each.source == source for each in waiting) >= MAX_REQUESTS_OF_SOURCE:
        raise RequestsFull(f"{MAX_REQUESTS_OF_SOURCE} keys from your address wait for approval already.")
    if source and sum(each.source == source for each in requests) >= MAX_KEPT_REQUESTS_OF_SOURCE:
        raise RequestsFull("Too many keys from your address were rejected in these days.")
    if len(waiting) >= MAX_REQUESTS or len(requests) >= MAX_KEPT_REQUESTS:
        raise RequestsFull("Too many keys wait for approval already.")
