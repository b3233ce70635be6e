"""All certificates of an account and Region, as AWS IoT lists them, in 37 bytes each: a million take 40 MB."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from audit.judgement import Registered

_LISTED, _ACTIVE, _PERMITTED, _KNOWN, _OF_FLEET = 1, 2, 4, 8, 16

# Of one certificate: its id, flags, and when it was made (seconds since 1970, until 2106).
_ID_BYTES, _TIME_BYTES = 32, 4
_FLAGS = _ID_BYTES
_TIME = slice(_FLAGS + 1, _FLAGS + 1 + _TIME_BYTES)
_RECORD_BYTES = _TIME.stop

# Certificates are kept by the first bits of their ids, which are hashes: with a million, 250 to a place.
_PLACES = 4096


class Registry:
    """What AWS IoT holds, by the id of the certificate: ``certificateId``, 64 hexadecimal digits."""

    def __init__(self) -> None:
        self._places = [bytearray() for _ in range(_PLACES)]
        self._arn_prefix = ""

    def add(self, *, arn: str, is_active: bool, created: datetime) -> None:
        """Note a certificate of ListCertificates."""
        self._arn_prefix, certificate_id = _split(arn)
        seconds = max(0, int(created.timestamp())).to_bytes(_TIME_BYTES, "big")
        self._mark(certificate_id, _LISTED | (_ACTIVE if is_active else 0), seconds)

    def permit(self, arn: str) -> None:
        """Note a target of the fleet's policy; one that is no certificate (a thing group, an identity) is none."""
        if ":cert/" in arn:
            self._mark(_split(arn)[1], _PERMITTED)

    def sign(self, certificate_id: str) -> None:
        """Note that a CA of the fleet has signed a certificate."""
        self._mark(certificate_id, _OF_FLEET)

    def recognize(self, certificate_id: str) -> Registered | None:
        """What AWS IoT says of a certificate of the ledger, which is no stranger's from now on; None when it has
        no such certificate."""
        place, at = self._find(certificate_id)
        if at < 0 or not place[at + _FLAGS] & _LISTED:
            return None
        place[at + _FLAGS] |= _KNOWN
        return self._registered(place, at)

    def strangers(self) -> Iterator[Registered]:
        """The certificates that nobody has recognized."""
        for place in self._places:
            for at in range(0, len(place), _RECORD_BYTES):
                if place[at + _FLAGS] & (_LISTED | _KNOWN) == _LISTED:
                    yield self._registered(place, at)

    def _mark(self, certificate_id: str, flags: int, seconds: bytes = bytes(_TIME_BYTES)) -> None:
        place, at = self._find(certificate_id)
        if at < 0:
            place += bytes.fromhex(certificate_id) + bytes([flags]) + seconds
            return
        place[at + _FLAGS] |= flags
        if any(seconds):
            place[at + _TIME.start : at + _TIME.stop] = seconds

    def _find(self, certificate_id: str) -> tuple[bytearray, int]:
        """Where its record is, or would be: the place, and the offset there, -1 when it has none."""
        key = bytes.fromhex(certificate_id)
        place = self._places[int.from_bytes(key[:2], "big") % _PLACES]
        at = place.find(key)
        while at % _RECORD_BYTES and at >= 0:  # by chance, across two records
            at = place.find(key, at + 1)
        return place, at

    def _registered(self, place: bytearray, at: int) -> Registered:
        certificate_id, flags = place[at : at + _ID_BYTES].hex(), place[at + _FLAGS]
        return Registered(
            certificate_id=certificate_id,
            arn=self._arn_prefix + certificate_id,
            is_active=bool(flags & _ACTIVE),
            created_at=int.from_bytes(place[at + _TIME.start : at + _TIME.stop], "big"),
            is_permitted=bool(flags & _PERMITTED),
            is_of_fleet=bool(flags & _OF_FLEET),
        )


def _split(arn: str) -> tuple[str, str]:
    """What the ARNs of an account's certificates begin with, and the id of this one."""
    before, slash, certificate_id = arn.rpartition("/")
    return before + slash, certificate_id
