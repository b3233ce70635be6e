"""Reads AWS IoT and the ledger, and reads again whatever does not agree. It knows nothing of the command.

Both are read in pages. Of AWS IoT's lists a few bytes a certificate are kept, of the ledger nothing, so the memory of a
million devices is that of the program and 40 MB.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from audit import iot
from audit.judgement import Finding, Kind, Registered, is_settled, is_to_go, judge, may_be_unfinished
from audit.registry import Registry
from audit.things import Page, Things
from ledger import Certificate, Ledger, State, SurveyedCertificate
from ledger.merging import merged
from pki.issuers import AMAZON
from pki.names import is_device_name

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

Subject = TypeVar("Subject")

# The most certificates that are remembered for deletion: more than one run has time for.
MOST_TO_DELETE = 5_000

# DescribeCertificate's quota is 10 a second: no more than this many at a time keep it busy.
_AT_ONCE = 8


def _silent(count: int) -> None:
    pass


@dataclass(kw_only=True)
class Survey:
    """One look at a deployment.

    Attributes:
        policy: the name of the fleet's policy.
        issuer: who signs the deployment's certificates.
        grace_seconds: how long a superseded certificate may stay active.
        kept_seconds: how long a certificate that is out of use stays in AWS IoT; None when none is deleted.
        ca_ids: the ids of the fleet's CAs in KMS, whose certificates are all to be in the ledger.
        things: what compares the things; None when nothing does.
        now: seconds since 1970.
        advanced: is told how many more entries of AWS IoT's lists and of the ledger were read, for a person who waits;
            and 0 before each that is read again. What it raises ends the survey.
        devices, certificates: how many the ledger has, when its findings have been read.
        to_delete: device and id of each certificate that nobody needs in AWS IoT any more, and of which the ledger does
            not know that it is gone; no more than ``MOST_TO_DELETE``.
        further_to_delete: how many more there are.
        issued: how many certificates the ledger has of each CA, by its id.
        at_work: for how many devices a request was at work.
    """

    iot: IoTClient
    ledger: Ledger
    policy: str
    issuer: str
    grace_seconds: int
    now: int
    kept_seconds: int | None = None
    ca_ids: Sequence[str] = ()
    things: Things | None = None
    advanced: Callable[[int], None] = _silent
    devices: int = field(default=0, init=False)
    certificates: int = field(default=0, init=False)
    to_delete: list[tuple[str, str]] = field(default_factory=list, init=False)
    further_to_delete: int = field(default=0, init=False)
    issued: Counter[str] = field(default_factory=Counter, init=False)
    at_work: int = field(default=0, init=False)
    _has_amazon_signed: bool = field(default=False, init=False)

    def findings(self) -> Iterator[Finding]:
        """Compare two lists, then read again, one by one, what does not agree: devices enroll meanwhile."""
        registry = self._registered()
        yield from self._each(self._read_again, self._disagreeing(registry))
        strangers: Iterable[Registered] = registry.strangers()
        if not (self._has_amazon_signed or self.issuer == AMAZON):
            strangers = (each for each in strangers if each.is_permitted or each.is_of_fleet)
        yield from self._each(self._stranger, strangers)
        if self.things is not None:
            yield from self._each(self.things.judge_thing, self.things.differing())
            yield from self._each(self.things.judge_left, self.things.without_device())
            yield from self.things.not_looked_at()

    def _registered(self) -> Registry:
        """What AWS IoT has now: all lists, side by side."""
        registry = Registry()

        def add(each: dict[str, Any]) -> None:
            is_active = each["status"] == "ACTIVE"
            registry.add(arn=each["certificateArn"], is_active=is_active, created=each["creationDate"])

        def given(note: Callable[[Any], None], pages: Iterator[list[Any]]) -> Iterator[Page]:
            return ((note, page) for page in pages)

        of_fleet = chain.from_iterable(iot.pages_of_ca(self.iot, each) for each in self.ca_ids)
        sources: list[Callable[[], Iterator[Page]]] = [
            partial(given, add, iot.certificate_pages(self.iot)),
            partial(given, registry.permit, iot.target_pages(self.iot, self.policy)),
            partial(given, registry.sign, of_fleet),
            *([] if self.things is None else self.things.sources()),
        ]
        for note, page in merged(*sources):
            for each in page:
                note(each)
            self.advanced(len(page))
        return registry

    def _disagreeing(self, registry: Registry) -> Iterator[tuple[str, str]]:
        """Device and id of each certificate of the ledger about which AWS IoT seems to say something else."""
        for device in self.ledger.survey():
            self._has_amazon_signed |= device.issued_by == AMAZON
            self.devices += device.state is not None
            self.certificates += len(device.certificates)
            self.at_work += device.lease_until > self.now
            self.issued.update(each.issued_by for each in device.certificates)
            if self.things is not None:
                self.things.note_device(device)
            for certificate in device.certificates:
                registered = registry.recognize(certificate.certificate_id)
                self._look_for_deletion(certificate, registered)
                if self._judged(certificate, device.state, registered, certificate.is_current) is not None:
                    yield device.name, certificate.certificate_id
            self.advanced(len(device.certificates))

    def _look_for_deletion(self, certificate: SurveyedCertificate, registered: Registered | None) -> None:
        """Remember one that may leave AWS IoT, or that has left it without the ledger's knowledge.

        One of which the ledger says that it is gone can be there again: AWS IoT registers what a device of an external
        CA presents to it.
        """
        is_there = registered is not None and not registered.is_active
        is_noted = certificate.deleted_at is not None
        if not (is_there or (registered is None and not is_noted)):
            return
        if is_to_go(certificate, self.now, is_current=certificate.is_current, kept_seconds=self.kept_seconds):
            if len(self.to_delete) < MOST_TO_DELETE:
                self.to_delete.append((certificate.device, certificate.certificate_id))
            else:
                self.further_to_delete += 1

    def _judged(
        self,
        certificate: Certificate | SurveyedCertificate,
        of_device: State | None,
        registered: Registered | None,
        is_current: bool,
    ) -> Kind | None:
        return judge(
            certificate,
            of_device=of_device,
            registered=registered,
            grace_seconds=self.grace_seconds,
            now=self.now,
            is_current=is_current,
            kept_seconds=self.kept_seconds,
        )

    def _read_again(self, subject: tuple[str, str]) -> Finding | None:
        """AWS IoT first: what happens after that can only make the ledger know more."""
        name, certificate_id = subject
        registered = iot.describe(certificate_id, self.iot, policy=self.policy)
        certificate = self.ledger.certificate(name, certificate_id)
        if certificate is None:
            return None
        device = self.ledger.device(name)
        is_current = device is not None and device.certificate_id == certificate_id
        kind = self._judged(certificate, device.state if device else None, registered, is_current)
        return None if kind is None else Finding(kind=kind, certificate_id=certificate_id, device=name)

    def _stranger(self, stranger: Registered) -> Finding | None:
        """What is wrong with a certificate that is not in the ledger, or was not when the ledger was read."""
        try:
            return self._judged_stranger(stranger)
        except iot.Gone:  # as those of ``verify``, a minute after they were made
            return None

    def _judged_stranger(self, stranger: Registered) -> Finding | None:
        if stranger.is_permitted:
            owner = self._owner(stranger)
            if owner is not None:
                return self._read_again((owner, stranger.certificate_id))
            return Finding(kind=Kind.UNKNOWN, certificate_id=stranger.certificate_id)
        if stranger.is_of_fleet:
            if not is_settled(stranger, now=self.now) or self._owner(stranger) is not None:
                return None
            return Finding(kind=Kind.FOREIGN_SIGNATURE, certificate_id=stranger.certificate_id)
        return self._unfinished(stranger) if may_be_unfinished(stranger, now=self.now) else None

    def _owner(self, stranger: Registered) -> str | None:
        """The name of its device, which has enrolled meanwhile."""
        for name in self._names(stranger):
            if self.ledger.certificate(name, stranger.certificate_id) is not None:
                return name
        return None

    def _names(self, stranger: Registered) -> Iterator[str]:
        content = iot.content(stranger.certificate_id, self.iot)
        names = [each.text for each in content.common_names] if content is not None else []
        # Another system's may have any name: one that no device can have is not looked up.
        yield from (name for name in names if is_device_name(name))
        yield from iot.things(stranger.arn, self.iot)

    def _unfinished(self, stranger: Registered) -> Finding | None:
        """It is the fleet's if its key is: the ledger does not know the key of a foreign certificate."""
        content = iot.content(stranger.certificate_id, self.iot)
        # Also of one that was replaced: an enrollment of its own may have been under way.
        owner = None if content is None else self.ledger.owner_of_key(content.fingerprint)
        if owner is None:
            return None
        if self.ledger.certificate(owner.device, stranger.certificate_id) is not None:
            return None  # recorded in the meantime
        if iot.policies(stranger.arn, self.iot) or iot.things(stranger.arn, self.iot):
            return None
        return Finding(kind=Kind.UNFINISHED, certificate_id=stranger.certificate_id, device=owner.device)

    def _each(self, look: Callable[[Subject], Finding | None], subjects: Iterable[Subject]) -> Iterator[Finding]:
        """What is found about each, some at a time, in their order; no more are read ahead than are looked at."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            window: deque[Future[Finding | None]] = deque()
            for subject in subjects:
                self.advanced(0)
                window.append(pool.submit(look, subject))
                if len(window) > _AT_ONCE:
                    yield from _found(window)
            while window:
                yield from _found(window)


def _found(window: deque[Future[Finding | None]]) -> Iterator[Finding]:
    finding = window.popleft().result()
    if finding is not None:
        yield finding
