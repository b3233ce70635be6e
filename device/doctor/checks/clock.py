"""This machine's clock. A Pi has no battery for its clock: without time from the network it starts in the past."""

import datetime

from ...cures import SET_CLOCK
from ...errors import ClockWrong, DeviceError
from ..examination import Examination
from ..finding import Finding, Skipped, ok, warning

GOOD = datetime.timedelta(minutes=1)
WRONG = datetime.timedelta(days=1)
"""With a greater error certificates cannot be verified, sooner or later."""

_UNITS = (("years", 365 * 86400), ("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))

SET_IT = f"{SET_CLOCK}; NTP needs UDP 123 to the outside, or an NTP server in your network"


def clock(examination: Examination) -> Finding:
    """Compare with the server's Date; offline only with the certificate, which was not issued in the future."""
    here = datetime.datetime.now(datetime.UTC)
    ahead = _server_ahead(examination)
    if ahead is None:
        if _before_certificate(examination, here):
            raise ClockWrong(
                f"this machine's clock says {here:%Y-%m-%d %H:%M} UTC, which is before this device's certificate was"
                " issued.",
                cure=SET_IT,
            )
        raise Skipped("no server has sent a time to compare with.", needs=_obstacle(examination))
    examination.clock_offset = ahead
    there = here + ahead
    facts = {"secondsBehindServer": round(ahead.total_seconds())}
    if abs(ahead) > WRONG or _before_certificate(examination, here) != _before_certificate(examination, there):
        raise ClockWrong(
            f"this machine's clock is {in_words(ahead)}: it says {here:%Y-%m-%d %H:%M} UTC, and the server's clock"
            f" says {there:%Y-%m-%d %H:%M} UTC.",
            cure=SET_IT,
        )
    if abs(ahead) > GOOD:
        return warning(f"this machine's clock is {in_words(ahead)}, by the server's clock.", cure=SET_IT, **facts)
    return ok(f"{here:%Y-%m-%d %H:%M} UTC, as the server's clock says", **facts)


def _server_ahead(examination: Examination) -> datetime.timedelta | None:
    if not examination.passed("enrollment-port") or not examination.passed("python"):
        return None
    probe = examination.probe(examination.enrollment_server)
    return None if isinstance(probe, DeviceError) else probe.ahead


def _before_certificate(examination: Examination, time: datetime.datetime) -> bool:
    if not examination.passed("python"):
        return False
    certificate = examination.certificate
    return not isinstance(certificate, DeviceError) and time < certificate.not_before


def _obstacle(examination: Examination) -> str | None:
    return next((name for name in ("python", "enrollment-port") if not examination.passed(name)), None)


def in_words(ahead: datetime.timedelta) -> str:
    """``3 days slow``; the server's clock is ``ahead`` of this machine's."""
    seconds = abs(ahead.total_seconds())
    unit, size = next((unit for unit in _UNITS if seconds >= 2 * unit[1]), _UNITS[-1])
    return f"{seconds // size:.0f} {unit} {'slow' if ahead > datetime.timedelta() else 'fast'}"
