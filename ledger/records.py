"""What the ledger remembers, as plain values. Times are whole seconds since 1970 (UTC)."""

from dataclasses import dataclass, fields
from enum import StrEnum

from ledger.thing import ThingProfile

DAY = 86_400


def utc_day(now: int) -> int:
    """The number of the day: whole days since 1970 (UTC)."""
    return now // DAY


class State(StrEnum):
    """A device's state; the transitions are in the docstring of ``ledger.ledger``."""

    INVITED = "invited"
    PENDING = "pending"
    ENROLLED = "enrolled"
    BLOCKED = "blocked"


class CertificateState(StrEnum):
    """What became of a certificate that was issued."""

    RECORDED = "recorded"  # signed and recorded; registration with AWS IoT has begun
    ACTIVE = "active"  # registered, with thing and policy: the device's certificate
    SUPERSEDED = "superseded"  # a renewal has taken its place
    DEACTIVATED = "deactivated"  # switched off in AWS IoT: its device was blocked or replaced, or has a newer one
    ABANDONED = "abandoned"  # never completed, and no longer wanted


# While AWS IoT may accept a certificate, or is about to.
IN_USE = (CertificateState.RECORDED, CertificateState.ACTIVE, CertificateState.SUPERSEDED)


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device, known by its key once it has one."""

    name: str
    state: State
    updated_at: int
    fingerprint: str | None = None  # None until the token is used
    token_expires: int | None = None  # only while a token is valid
    certificate_id: str | None = None  # the current one
    not_after: int | None = None  # of the current certificate
    issued_by: str | None = None  # the id of the CA certificate, or "aws"
    unfinished: str | None = None  # the id of a certificate that is recorded, but not yet active
    superseded: str | None = None  # the id of the certificate before the current one, while AWS IoT still accepts it
    superseded_at: int | None = None
    superseded_issued_by: str | None = None
    csr: str | None = None  # PEM, while an offline CA has yet to sign it
    csr_at: int | None = None
    thing: str | None = None  # what its thing has of its own, as ``ThingProfile`` encodes it
    turn: int | None = None  # when it may be registered (``ledger.turns``), in milliseconds; until it is
    renew_asked_at: int | None = None  # by the operator; its next request gets a new certificate
    issued_on: int | None = None  # the UTC day of its last certificate that was signed (``utc_day``)
    issued_count: int | None = None  # how many were signed on that day
    replaced_at: int | None = None  # when another key was let in under this name, in place of the one it had
    keeps_thing: bool = False  # its thing stays as it is: a key from before a replacement was enrolled with it

    @property
    def profile(self) -> ThingProfile:
        return ThingProfile.decode(self.thing)

    @property
    def waits_for_another_key(self) -> bool:
        """Whether it was replaced, and no key has come yet to take the place."""
        return self.replaced_at is not None and self.fingerprint is None

    def issued_today(self, now: int) -> int:
        """How many certificates were signed for it in the UTC day of ``now``, or in one that begins in a moment."""
        is_today = self.issued_on is not None and self.issued_on >= utc_day(now)
        return (self.issued_count or 0) if is_today else 0


# What the index ``listing`` holds of a device: neither the CSR, so that a large fleet is cheap to list, nor what was
# added after the first release, since DynamoDB cannot change the attributes of an index.
_NOT_LISTED = (
    *("name", "csr", "thing", "turn", "renew_asked_at", "issued_on", "issued_count"),
    *("replaced_at", "keeps_thing"),
)
LISTED_ATTRIBUTES = ("device", *(each.name for each in fields(Device) if each.name not in _NOT_LISTED))


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate that was issued to a device."""

    device: str
    certificate_id: str  # SHA-256 of the DER, 64 hexadecimal digits
    pem: str
    fingerprint: str  # of the key
    serial: str  # hexadecimal
    not_before: int
    not_after: int
    issued_by: str  # the id of the CA certificate, or "aws"
    state: CertificateState
    updated_at: int
    deleted_at: int | None = None  # from AWS IoT; the ledger keeps it

    def is_due(self, now: int) -> bool:
        """Whether it is time to renew: at two thirds of its life."""
        return now >= self.not_before + (self.not_after - self.not_before) * 2 // 3


@dataclass(frozen=True, kw_only=True)
class KeyOwner:
    """Which device has a key, or had it until another key took its place."""

    device: str
    replaced_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """A key without an invitation, waiting for the operator's decision."""

    fingerprint: str
    suggested_name: str  # the CSR's common name; may be empty, and is not to be trusted
    requested_at: int
    expires_at: int
    rejected: bool = False
    source: str = ""  # the address, or the network, that asked; empty in items of the first release


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of a device's history."""

    device: str
    at: int
    what: str
    by: str  # "device", "enrollment", or the operator
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class CertificateAuthority:
    """A CA that a deployment made in KMS: the certificate, and the proof that AWS IoT asked for."""

    name: str
    key_arn: str
    subject: str  # RFC 4514: what the settings asked for
    certificate_pem: str
    verification_pem: str
    validity_years: int
