"""Where the ledger and AWS IoT do not agree, by what both say. No calls here: the facts are passed in."""

from dataclasses import dataclass
from enum import StrEnum

from ledger import Certificate, CertificateState, State, SurveyedCertificate

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
    """A certificate as AWS IoT has it.

    Attributes:
        is_active: whether AWS IoT accepts it.
        created_at: seconds since 1970.
        is_permitted: whether it has the fleet's policy.
    """

    certificate_id: str
    arn: str
    is_active: bool
    created_at: int
    is_permitted: bool


@dataclass(frozen=True, kw_only=True)
class Finding:
    kind: Kind
    certificate_id: str
    device: str | None = None  # None where the ledger knows no device for it

    @property
    def is_fixable(self) -> bool:
        return MEANINGS[self.kind][1] is not None


def judge(
    certificate: Certificate | SurveyedCertificate,
    *,
    of_device: State | None,
    registered: Registered | None,
    grace_seconds: int,
    now: int,
) -> Kind | None:
    """What is wrong with a certificate of the ledger, by what AWS IoT says about it.

    Args:
        of_device: the state of its device; None when it was removed.
        registered: None when AWS IoT does not have the certificate.
        grace_seconds: how long a superseded certificate may stay active.
        now: seconds since 1970.
    """
    if registered is None:
        return Kind.MISSING if certificate.state is CertificateState.ACTIVE else None
    if not registered.is_active:
        return Kind.SWITCHED_OFF if certificate.state is CertificateState.ACTIVE else None
    if of_device is None or of_device is State.BLOCKED:
        return Kind.SHOULD_BE_OFF
    match certificate.state:
        case CertificateState.ACTIVE:
            return None if registered.is_permitted else Kind.NOT_PERMITTED
        case CertificateState.SUPERSEDED:
            return Kind.SUPERSEDED if certificate.updated_at <= now - grace_seconds else None
        case CertificateState.DEACTIVATED | CertificateState.ABANDONED:
            return Kind.SHOULD_BE_OFF
        case CertificateState.RECORDED:
            return None  # an interrupted enrollment: the device's next request completes it


def may_be_unfinished(stranger: Registered, *, now: int) -> bool:
    """Whether a certificate that the ledger does not know could be an unfinished one of Amazon's; its key tells."""
    return not stranger.is_permitted and stranger.created_at <= now - MIN_AGE_SECONDS
