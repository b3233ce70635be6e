"""Where the ledger and AWS IoT do not agree, by what both say. No calls here: the facts are passed in."""

from dataclasses import dataclass
from enum import StrEnum

from ledger import Certificate, CertificateState, State, SurveyedCertificate

DAY = 86_400

# The daily audit has deleted a certificate by then, be it that it had no time for a day or two.
DELETION_MARGIN_SECONDS = 7 * DAY

# A function works for 20 s at most, from the making of a certificate to its record in the ledger; this is far longer.
MIN_AGE_SECONDS = 15 * 60


class Kind(StrEnum):
    """What is wrong. The ids are stable, for programs."""

    MISSING = "missing"
    SWITCHED_OFF = "switched-off"
    NOT_PERMITTED = "not-permitted"
    SUPERSEDED = "superseded"
    SHOULD_BE_OFF = "should-be-off"
    SHOULD_BE_GONE = "should-be-gone"
    UNFINISHED = "unfinished"
    UNKNOWN = "unknown"
    FOREIGN_SIGNATURE = "foreign-signature"
    UNRECORDED_SIGNATURES = "unrecorded-signatures"
    UNSIGNED_CERTIFICATES = "unsigned-certificates"
    CA_MISSING = "ca-missing"
    CA_STATUS = "ca-status"
    CA_AUTO_REGISTRATION = "ca-auto-registration"
    POLICY_MISSING = "policy-missing"
    POLICY_DRIFTED = "policy-drifted"
    THING_MISSING = "thing-missing"
    THING_FOREIGN = "thing-foreign"
    THING_UNMARKED = "thing-unmarked"
    THING_DRIFTED = "thing-drifted"
    THING_LEFT = "thing-left"


# What each means, and what --fix does about it (None: nothing, a person has to decide).
MEANINGS: dict[Kind, tuple[str, str | None]] = {
    Kind.MISSING: ("active in the ledger, but AWS IoT does not have it", "records it as deactivated"),
    Kind.SWITCHED_OFF: ("active in the ledger, but not ACTIVE in AWS IoT", "records it as deactivated"),
    Kind.NOT_PERMITTED: ("active in the ledger, but without the fleet's policy: the device has no permissions", None),
    Kind.SUPERSEDED: ("replaced by a renewal for longer than --grace, and still ACTIVE", "switches it off"),
    Kind.SHOULD_BE_OFF: ("of a blocked or removed device, or abandoned, and still ACTIVE", "switches it off"),
    Kind.SHOULD_BE_GONE: (
        "out of use for a week longer than deleteAfterDays, and still in AWS IoT",
        "deletes it from AWS IoT; the ledger keeps it",
    ),
    Kind.UNFINISHED: ("made by Amazon for a key of the fleet, but never enrolled: it has no permissions", "deletes it"),
    Kind.UNKNOWN: ("with the fleet's policy, but unknown to the ledger", None),
    Kind.FOREIGN_SIGNATURE: (
        "signed by a CA of the fleet in KMS, but unknown to the ledger: somebody else signs",
        None,
    ),
    Kind.UNRECORDED_SIGNATURES: (
        "a CA in KMS was asked for more signatures than it has certificates on record: requests were interrupted",
        None,
    ),
    Kind.UNSIGNED_CERTIFICATES: (
        "the ledger has more certificates of a CA in KMS than were asked for: somebody else has written them",
        None,
    ),
    Kind.CA_MISSING: ("a CA of the deployment that AWS IoT does not have: nobody can enroll or renew with it", None),
    Kind.CA_STATUS: ("a CA whose status in AWS IoT is not the declared one", None),
    Kind.CA_AUTO_REGISTRATION: ("a CA that registers certificates at their first connection as is not declared", None),
    Kind.POLICY_MISSING: ("the fleet's IoT policy is not there", None),
    Kind.POLICY_DRIFTED: ("the IoT policy in effect is not the declared one", None),
    Kind.THING_MISSING: ("an enrolled device without a thing: it cannot connect over MQTT", None),
    Kind.THING_FOREIGN: ("an enrolled device whose thing has another fleet's mark", None),
    Kind.THING_UNMARKED: ("an enrolled device whose thing has no mark yet: its next renewal gives it one", None),
    Kind.THING_DRIFTED: ("an enrolled device whose thing lacks what the settings or `set` have given it", None),
    Kind.THING_LEFT: ("a thing with the fleet's mark whose device is gone", None),
}


# What a fleet that works as it should can have for months. It is told, and raises no alarm.
QUIET = frozenset(
    {
        # An interrupted request, or a count that the SDK has repeated (``ledger.signatures``).
        Kind.UNRECORDED_SIGNATURES,
        # Devices of the first release, and those from before a change of the setting ``things``.
        Kind.THING_UNMARKED,
        Kind.THING_DRIFTED,
        # Earlier releases left the thing of a removed device.
        Kind.THING_LEFT,
    }
)


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A certificate as AWS IoT has it.

    Attributes:
        is_active: whether AWS IoT accepts it.
        created_at: seconds since 1970.
        is_permitted: whether it has the fleet's policy.
        is_of_fleet: whether a CA of the fleet in KMS has signed it, as far as that was asked.
    """

    certificate_id: str
    arn: str
    is_active: bool
    created_at: int
    is_permitted: bool
    is_of_fleet: bool = False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong.

    Attributes:
        certificate_id: None where it is about no certificate.
        device: None where it is about none, or the ledger knows none for it.
        detail: what is not in ``MEANINGS``.
    """

    kind: Kind
    certificate_id: str | None = None
    device: str | None = None
    detail: str = ""

    def document(self) -> dict[str, str | None]:
        """As JSON has it, of the command and of the daily audit."""
        return {
            "kind": str(self.kind),
            "device": self.device,
            "certificateId": self.certificate_id,
            "detail": self.detail,
        }

    @property
    def is_quiet(self) -> bool:
        """Whether it raises no alarm."""
        return self.kind in QUIET

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
    is_current: bool = False,
    kept_seconds: int | None = None,
) -> Kind | None:
    """What is wrong with a certificate of the ledger, by what AWS IoT says about it.

    Args:
        of_device: the state of its device; None when it was removed.
        registered: None when AWS IoT does not have the certificate.
        grace_seconds: how long a superseded certificate may stay active.
        now: seconds since 1970.
        is_current: whether it is its device's current one.
        kept_seconds: how long a certificate that is out of use stays in AWS IoT; None when none is deleted.
    """
    if registered is None:
        return Kind.MISSING if certificate.state is CertificateState.ACTIVE else None
    if not registered.is_active:
        if certificate.state is CertificateState.ACTIVE:
            return Kind.SWITCHED_OFF
        limit = None if kept_seconds is None else kept_seconds + DELETION_MARGIN_SECONDS
        return Kind.SHOULD_BE_GONE if is_to_go(certificate, now, is_current=is_current, kept_seconds=limit) else None
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


def is_to_go(
    certificate: Certificate | SurveyedCertificate, now: int, *, is_current: bool, kept_seconds: int | None
) -> bool:
    """Whether nobody needs a certificate of the ledger in AWS IoT any more.

    A device's current one is needed as long as there is the device: a blocked one can be unblocked.
    """
    out_of_use = certificate.state in (CertificateState.DEACTIVATED, CertificateState.ABANDONED)
    return kept_seconds is not None and out_of_use and not is_current and certificate.updated_at <= now - kept_seconds


def may_be_unfinished(stranger: Registered, *, now: int) -> bool:
    """Whether a certificate that the ledger does not know could be an unfinished one of Amazon's; its key tells."""
    return not stranger.is_permitted and is_settled(stranger, now=now)


def is_settled(stranger: Registered, *, now: int) -> bool:
    """Whether whoever made a certificate has had the time to record it."""
    return stranger.created_at <= now - MIN_AGE_SECONDS
