"""Why the ledger refused a change. The messages are one sentence each, for the person who asked."""


class LedgerError(Exception):
    """A change that was refused; nothing was written."""


class NotInvited(LedgerError):
    """There is no invitation of this device with this token."""


class TokenExpired(LedgerError):
    """The token is right, but it has expired."""


class TokenSpent(LedgerError):
    """The token is right, but another key has used it."""


class KeyTaken(LedgerError):
    """The key already belongs to a device with another name."""


class Blocked(LedgerError):
    """The operator has blocked this device, or rejected this key."""


class WrongState(LedgerError):
    """The device's state does not allow the change."""


class RequestsFull(LedgerError):
    """Too many unknown keys wait for approval already."""


class Busy(LedgerError):
    """Another request for the same key is in progress; ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("Another request for this key is in progress.")
        self.retry_after = retry_after


class LeaseLost(LedgerError):
    """The work took longer than its lease, and another request has taken over."""


class DailyLimitReached(LedgerError):
    """The key has had as many certificates in this UTC day as the fleet issues; ``retry_after`` is in seconds."""

    def __init__(self, name: str, *, at_most: int, retry_after: int) -> None:
        number = f"{at_most} certificates" if at_most != 1 else "one certificate"
        super().__init__(
            f"The key of {name!r} has had {number} since 00:00 UTC, as many as this fleet issues to a key in a day: "
            f"it gets the next one after 24:00 UTC, or when the operator says `zymkey-fleet renew NAME --force`."
        )
        self.retry_after = retry_after
