"""Where the ledger and AWS IoT do not agree, found from what both say. No calls here: the facts are passed in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ledger import Certificate, CertificateState, Device, State

# A function that makes a certificate and has not written it down yet is at work for 20 s at most; this is far beyond.
MIN_AGE_SECONDS = 15 * 60


class Kind(StrEnum):
    """What is wrong. The ids are stable: programs may rely on them."""

    MISSING = "missing"
    SWITCHED_OFF = "switched-off"
    NOT_PERMITTED = "not-permitted"
    SUPERSEDED = "superseded"
    SHOULD_BE_OFF = "should-be-off"
    UNFINISHED = "unfinished"
    UNKNOWN = "unknown"


# What each means, and what --fix does about it (None: nothing; it takes a person).
MEANINGS: dict[Kind, tuple[str, str | None]] = {
    Kind.MISSING: ("in use by the ledger, but AWS IoT does not have it", "writes it down as deactivated"),
    Kind.SWITCHED_OFF: ("in use by the ledger, but not ACTIVE in AWS IoT", "writes it down as deactivated"),
    Kind.NOT_PERMITTED: ("in use, but without the fleet's policy, so the device may do nothing", None),
    Kind.SUPERSEDED: ("superseded for longer than the time of grace, and still ACTIVE", "switches it off"),
    Kind.SHOULD_BE_OFF: ("of a blocked or removed device, or given up, and still ACTIVE", "switches it off"),
    Kind.UNFINISHED: ("made by Amazon for a key of the fleet, but never finished; it may do nothing", "deletes it"),
    Kind.UNKNOWN: ("has the fleet's policy, but the ledger does not know it", None),
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
    """What is wrong with a certificate of the ledger, by what AWS IoT says of it.

    Args:
        device: None when it was removed.
        registered: None when AWS IoT does not have the certificate.
        is_permitted: whether it has the fleet's policy.
        grace_seconds: how long a superseded certificate may go on.
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
            return None  # an enrollment that was interrupted: the device's next request goes on with it


def unknown_and_permitted(
    *, known: set[str], registered: Mapping[str, Registered], permitted: set[str]
) -> Iterator[Registered]:
    """The certificates that hold the fleet's policy although no device of the ledger has them."""
    return (each for each in registered.values() if each.arn in permitted and each.certificate_id not in known)


def unknown_and_powerless(
    *, known: set[str], registered: Mapping[str, Registered], permitted: set[str], now: int
) -> Iterator[Registered]:
    """The certificates that could be Amazon's unfinished ones; whether they are the fleet's, their keys must say."""
    return (
        each
        for each in registered.values()
        if each.certificate_id not in known and each.arn not in permitted and each.created_at <= now - MIN_AGE_SECONDS
    )
