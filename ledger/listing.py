"""Which devices of the index ``listing`` are meant: a range of names, and a condition that DynamoDB checks.

DynamoDB reads each item of the range, and charges for it, but sends only those that the condition holds for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ledger.dynamodb import Value
from ledger.records import Device, State

# What an invitation is called whose token has expired, beside the states.
INVITED_EXPIRED = "invited-expired"

# DynamoDB sorts by the bytes of UTF-8: each letter, digit, _ and - comes after a blank and before a tilde.
_BEFORE_ALL, _AFTER_ALL = " ", "~"


# AND binds closer than OR, and DynamoDB refuses redundant brackets.
_INVITED = {
    State.INVITED: "#state = :invited AND (attribute_not_exists(#token_expires) OR #token_expires > :now)",
    INVITED_EXPIRED: "#state = :invited AND #token_expires <= :now",
}


@dataclass(frozen=True, kw_only=True)
class DeviceFilter:
    """Devices for which all of this holds.

    Attributes:
        prefix: what the name begins with.
        after: a name; only those that follow it in the order of names.
        until: a name; only those up to it, itself included.
        states: any of ``State`` and ``INVITED_EXPIRED``, as ``shown_state`` tells them apart; none for all.
        expires_by: the current certificate has ended by then, or will have; seconds since 1970.
        has_certificate: it has a current certificate.
        superseded_by: the certificate before the current one is still accepted, and was superseded by then.
        waits_for_signature: it has a CSR that an offline CA has yet to sign.
        issued_by: ids of CAs; one of them has issued the current certificate.
        holds_of: the id of a CA; it has a certificate of it, the current one or the one before, or has one that is not
            active yet, of whatever CA.
        now: tells invitations that have expired from those that have not.
    """

    prefix: str = ""
    after: str = ""
    until: str = ""
    states: Collection[str] = ()
    expires_by: int | None = None
    has_certificate: bool = False
    superseded_by: int | None = None
    waits_for_signature: bool = False
    issued_by: Collection[str] = ()
    holds_of: str = ""
    now: int = 0

    @property
    def names(self) -> tuple[str, str]:
        """The first and the last text between which the names are."""
        first = max(self.prefix, self.after + _BEFORE_ALL if self.after else "")
        last = self.prefix + _AFTER_ALL
        return first, min(last, self.until) if self.until else last

    @property
    def is_empty(self) -> bool:
        """No name can be in the range; DynamoDB refuses one whose end comes before its beginning."""
        first, last = self.names
        return first > last

    @property
    def condition(self) -> tuple[str, dict[str, Value]]:
        """A condition as ``Table.update`` takes one, and its values; empty for every device in the range."""
        parts: list[str] = []
        values: dict[str, Value] = {}
        if self.states:
            parts.append(
                "(" + " OR ".join(_INVITED.get(each, f"#state = :{each}") for each in sorted(self.states)) + ")"
            )
            values |= {each: each for each in self.states if each not in _INVITED}
            if not _INVITED.keys().isdisjoint(self.states):
                values |= {"invited": State.INVITED, "now": self.now}
        if self.expires_by is not None:
            parts.append("#not_after <= :expires_by")
            values["expires_by"] = self.expires_by
        if self.has_certificate:
            parts.append("attribute_exists(#certificate_id)")
        if self.superseded_by is not None:
            parts.append("#superseded_at <= :superseded_by")
            values["superseded_by"] = self.superseded_by
        if self.waits_for_signature:
            parts.append("attribute_exists(#csr_at)")
        if self.issued_by:
            ids = {f"issued_by_{number}": each for number, each in enumerate(sorted(self.issued_by))}
            parts.append(f"#issued_by IN ({', '.join(f':{name}' for name in ids)})")
            values |= ids
        if self.holds_of:
            parts.append(
                "(#issued_by = :holds_of OR #superseded_issued_by = :holds_of OR attribute_exists(#unfinished))"
            )
            values["holds_of"] = self.holds_of
        return " AND ".join(parts), values


EVERY_DEVICE = DeviceFilter()


def shown_state(device: Device, now: int) -> str:
    """A device's state in one word, which tells an invitation that nobody can use any more."""
    if device.state is State.INVITED and device.token_expires is not None and device.token_expires <= now:
        return INVITED_EXPIRED
    return device.state
