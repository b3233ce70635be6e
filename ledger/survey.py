"""The whole ledger, read once: every certificate that was ever issued, beside its device, in bounded memory.

That is a Scan, and not a Query of the index with the certificates by their keys: the certificates that no device
names any more (of removed devices, the ones before the last) are wanted as well, and a Scan is cheaper. DynamoDB
charges it by the megabyte, and each item that is fetched by its key as one of 4 kB.
docs/scale.md has the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, islice
from operator import itemgetter

from ledger.dynamodb import MAX_KEYS, Incomplete, Item
from ledger.errors import Busy
from ledger.items import certificate_key
from ledger.merging import merged
from ledger.reading import Reading
from ledger.records import CertificateState, Device, State

# Segments that are read side by side. With four, a million devices take DynamoDB one or two minutes, less than AWS IoT
# takes to list their certificates.
SEGMENTS = 4

_DEVICE, _CERTIFICATE = "device#", "certificate#"
_WANTED = "begins_with(#pk, :devices) AND (#sk = :device OR begins_with(#sk, :certificates))"
_ATTRIBUTES = (
    *("pk", "sk", "state", "updated_at", "issued_by"),
    *("certificate_id", "deleted_at", "thing", "lease_until"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SurveyedCertificate:
    """What a survey reads of a certificate: without the PEM, which is most of it.

    Attributes:
        issued_by: who signed it: the id of a CA certificate, or "aws".
        deleted_at: when it left AWS IoT; None when nobody has deleted it.
        is_current: whether it is its device's current one.
    """

    device: str
    certificate_id: str
    state: CertificateState
    updated_at: int
    issued_by: str = ""
    deleted_at: int | None = None
    is_current: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SurveyedDevice:
    """A name in the ledger.

    Attributes:
        state: None when there is no device of this name any more, but certificates that one had.
        issued_by: who signed the current certificate: the id of a CA certificate, or "aws"; None when it has none.
        thing: what its thing has of its own, as ``ThingProfile`` encodes it.
        lease_until: until when a request may be at work for it, in seconds since 1970.
    """

    name: str
    state: State | None
    issued_by: str | None
    certificates: tuple[SurveyedCertificate, ...]
    thing: str | None = None
    lease_until: int = 0


class Surveying(Reading):
    """What is read of very many devices."""

    def survey(self) -> Iterator[SurveyedDevice]:
        """Every name that has a device, or ever had a certificate, in no order. A moment old: a device that changes
        while this reads can look as it did before, and one that appears can be missing.

        Reads a megabyte of the table a call, some side by side, and holds no more than a dozen of those.
        """
        return chain.from_iterable(merged(*(partial(self._segment, number) for number in range(SEGMENTS))))

    def with_beginning(self, devices: Iterable[Device]) -> Iterator[tuple[Device, int | None]]:
        """Each device with the time from which its current certificate is valid, in their order; None when the ledger
        does not have it. Asks for a hundred at once; the answers may be a moment old.

        Raises:
            Busy: DynamoDB has too much to do.
        """
        waiting = iter(devices)
        while some := list(islice(waiting, MAX_KEYS)):
            keys = {certificate_key(each.name, each.certificate_id or "") for each in some}
            try:
                items = list(self._table.get_many(keys, attributes=("pk", "sk", "not_before")))
            except Incomplete:
                raise Busy(1) from None
            beginnings = {(item["pk"], item["sk"]): item["not_before"] for item in items}
            for each in some:
                yield each, beginnings.get(certificate_key(each.name, each.certificate_id or ""))

    def _segment(self, number: int) -> Iterator[list[SurveyedDevice]]:
        """The items of one partition key come together, but a page may end between them."""
        begun: list[Item] = []
        for page in self._table.scan(
            segment=number,
            of_segments=SEGMENTS,
            condition=_WANTED,
            values={"devices": _DEVICE, "device": "device", "certificates": _CERTIFICATE},
            attributes=_ATTRIBUTES,
        ):
            groups = [list(items) for _, items in groupby(begun + page, key=itemgetter("pk"))]
            begun = groups.pop() if groups else []
            yield [_surveyed(items) for items in groups]
        if begun:
            yield [_surveyed(begun)]


def _surveyed(items: list[Item]) -> SurveyedDevice:
    name = items[0]["pk"].removeprefix(_DEVICE)
    device = next((each for each in items if each["sk"] == "device"), None)
    certificates = tuple(
        SurveyedCertificate(
            device=name,
            certificate_id=each["sk"].removeprefix(_CERTIFICATE),
            state=CertificateState(each["state"]),
            updated_at=each["updated_at"],
            issued_by=each["issued_by"],
            deleted_at=each.get("deleted_at"),
            is_current=device is not None and each["sk"] == f"{_CERTIFICATE}{device.get('certificate_id')}",
        )
        for each in items
        if each is not device
    )
    return SurveyedDevice(
        name=name,
        state=State(device["state"]) if device else None,
        issued_by=device.get("issued_by") if device else None,
        certificates=certificates,
        thing=device.get("thing") if device else None,
        lease_until=device.get("lease_until", 0) if device else 0,
    )
