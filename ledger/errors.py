"""Why the ledger refused a change. The messages are one sentence each, for the person who asked."""


class LedgerError(Exception):
    """A change that was refused; nothing was written."""


class NotInvited(LedgerError):
    """Nobody invited this device with this token."""


class TokenExpired(LedgerError):
    """The token was right, but too late."""


class TokenSpent(LedgerError):
    """The token was right, but another key used it first."""


class KeyTaken(LedgerError):
    """The key already belongs to a device of another name."""


class Blocked(LedgerError):
    """The operator has blocked this device, or rejected this key."""


class WrongState(LedgerError):
    """The device's state does not allow the change."""


class RequestsFull(LedgerError):
    """Too many unknown keys wait for approval already."""


class Busy(LedgerError):
    """Another request for the same key is being worked on; ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("Another request for this key is being worked on.")
        self.retry_after = retry_after


class LeaseLost(LedgerError):
    """The work took longer than its lease, and another request has taken over."""
