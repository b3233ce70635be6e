"""Where the ledger and AWS IoT do not agree, by what both say. No calls here: the facts are passed in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ledger import Certificate, CertificateState, Device, State

# A function works for 20 s at most, from the making of a certificate to its record in the ledger; this is far longer.
MIN_AGE_SECONDS = 15 * 60


class Kind(StrEnum):
    """What is wrong. The ids are stable, for programs."""

    MISSING = "missing"
    SWITCHED_OFF = "switched-off"
    NOT_PERMITTED = "not-permitted"
    SUPERSEDED = "superseded"
    SHOULD_BE_OFF = "should-be-off"
    UNFINISHED = "unfinished"
    UNKNOWN = "unknown"


# What each means, and what --fix does about it (None: nothing, a person has to decide).
MEANINGS: dict[Kind, tuple[str, str | None]] = {
    Kind.MISSING: ("active in the ledger, but AWS IoT does not have it", "records it as deactivated"),
    Kind.SWITCHED_OFF: ("active in the ledger, but not ACTIVE in AWS IoT", "records it as deactivated"),
    Kind.NOT_PERMITTED: ("active in the ledger, but without the fleet's policy: the device has no permissions", None),
    Kind.SUPERSEDED: ("replaced by a renewal for longer than --grace, and still ACTIVE", "switches it off"),
    Kind.SHOULD_BE_OFF: ("of a blocked or removed device, or abandoned, and still ACTIVE", "switches it off"),
    Kind.UNFINISHED: ("made by Amazon for a key of the fleet, but never enrolled: it has no permissions", "deletes it"),
    Kind.UNKNOWN: ("with the fleet's policy, but unknown to the ledger", None),
}


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A certificate as AWS IoT lists it."""

    certificate_id: str
    arn: str
    status: str
    created_at: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    kind: Kind
    certificate_id: str
    device: str | None = None  # None where the ledger knows no device for it

    @property
    def is_fixable(self) -> bool:
        return MEANINGS[self.kind][1] is not None


def judge(
    certificate: Certificate,
    *,
    device: Device | None,
    registered: Registered | None,
    is_permitted: bool,
    grace_seconds: int,
    now: int,
) -> Kind | None:
    """What is wrong with a certificate of the ledger, by what AWS IoT says about it.

    Args:
        device: None when it was removed.
        registered: None when AWS IoT does not have the certificate.
        is_permitted: whether it has the fleet's policy.
        grace_seconds: how long a superseded certificate may stay active.
        now: seconds since 1970.
    """
    if registered is None:
        return Kind.MISSING if certificate.state is CertificateState.ACTIVE else None
    if registered.status != "ACTIVE":
        return Kind.SWITCHED_OFF if certificate.state is CertificateState.ACTIVE else None
    if device is None or device.state is State.BLOCKED:
        return Kind.SHOULD_BE_OFF
    match certificate.state:
        case CertificateState.ACTIVE:
            return None if is_permitted else Kind.NOT_PERMITTED
        case CertificateState.SUPERSEDED:
            return Kind.SUPERSEDED if certificate.updated_at <= now - grace_seconds else None
        case CertificateState.DEACTIVATED | CertificateState.ABANDONED:
            return Kind.SHOULD_BE_OFF
        case CertificateState.RECORDED:
            return None  # an interrupted enrollment: the device's next request completes it


def unknown_and_permitted(
    *, known: set[str], registered: Mapping[str, Registered], permitted: set[str]
) -> Iterator[Registered]:
    """The certificates that have the fleet's policy, although no device of the ledger has them."""
    return (each for each in registered.values() if each.arn in permitted and each.certificate_id not in known)


def unknown_and_powerless(
    *, known: set[str], registered: Mapping[str, Registered], permitted: set[str], now: int
) -> Iterator[Registered]:
    """The certificates that could be unfinished ones of Amazon's; their keys tell whether they are the fleet's."""
    return (
        each
        for each in registered.values()
        if each.certificate_id not in known and each.arn not in permitted and each.created_at <= now - MIN_AGE_SECONDS
    )
