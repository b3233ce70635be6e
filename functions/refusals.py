"""Answers other than success, as exceptions. The sentence is for the person or program at the other end."""

from datetime import datetime


class Refusal(Exception):
    """An answer that ends a request. ``status`` is the HTTP status, ``sentence`` the body, ``reason`` for the log."""

    status: int
    headers: dict[str, str]

    def __init__(self, sentence: str, *, reason: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.reason = reason or sentence
        self.headers = {}


class BadRequest(Refusal):
    """What was sent is wrong; sending it again will not help."""

    status = 400


class Unauthorized(Refusal):
    """The key has no invitation, or the token is wrong, spent or expired. Which of them, only the log says:

    a stranger who tries names must not learn which of them exist.

    The challenge is what makes clients such as libest send their credentials at all (RFC 7030 section 3.2.3).
    """

    status = 401

    def __init__(self, reason: str) -> None:
        super().__init__(
            "This key has no invitation: there is no such device, or its token is missing, wrong, used or expired. "
            "Send the device's name and its token as HTTP Basic credentials. The operator makes a token with "
            "`zymkey-fleet invite NAME`, and finds the reason in the function's log.",
            reason=reason,
        )
        self.headers = {"WWW-Authenticate": 'Basic realm="zymkey-fleet"'}


class UnknownRenewal(Unauthorized):
    """The same answer to a renewal, under a name of its own, so that it can be counted and told.

    A device that renews was enrolled once: either the operator has removed it, or the ledger is not the one it knew.
    """


class Forbidden(Refusal):
    """The operator has decided against it."""

    status = 403


class ExpiredTooLong(Forbidden):
    """The device's certificate has expired, and the time in which it may still renew is over."""

    def __init__(self, name: str, *, expired: datetime, grace_days: int) -> None:
        """``expired`` is in UTC."""
        days = {0: "renews none that has expired", 1: "renews an expired one for a day"}
        super().__init__(
            f"The certificate of {name!r} expired on {expired:%Y-%m-%d}, and this fleet "
            f"{days.get(grace_days, f'renews an expired one for {grace_days} days')}: the operator lets the device "
            "renew once more with `zymkey-fleet renew NAME`."
        )


class NotFound(Refusal):
    """There is no such thing in this deployment."""

    status = 404


class Conflict(Refusal):
    """It has been done already."""

    status = 409


class ForeignThing(Refusal):
    """The account has a thing of the device's name that is not this fleet's."""

    status = 409


class _Later(Refusal):
    def __init__(self, sentence: str, *, retry_after: int) -> None:
        """``retry_after`` in seconds; RFC 7030 section 4.2.3 wants it in every 202."""
        super().__init__(sentence)
        self.headers = {"Retry-After": str(retry_after)}


class NotYet(_Later):
    """Accepted; the same request will succeed later."""

    status = 202


class Queued(NotYet):
    """AWS IoT registers others first. ``Retry-After`` is this device's own moment, so all may keep to it exactly."""

    def __init__(self, *, at: datetime, place: int, retry_after: int, per_second: int) -> None:
        """``place`` is how many come first, ``at`` the moment in UTC, ``per_second`` what AWS IoT registers."""
        super().__init__(
            f"{place:,} devices are to be registered before this one, and AWS IoT registers {per_second:,} a second: "
            f"nothing is lost; send the same request again at about {at:%Y-%m-%d %H:%M:%S} UTC.",
            retry_after=retry_after,
        )
        self.headers["Zymkey-Place"] = str(place)


class TooMany(_Later):
    """More than this deployment takes from strangers, or issues to one key in a day."""

    status = 429


class Unavailable(_Later):
    """An AWS call failed, or our own code did; what was done so far is kept."""

    status = 503


class Throttled(Unavailable):
    """AWS throttles; what was done so far is kept."""
