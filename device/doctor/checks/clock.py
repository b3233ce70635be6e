"""This machine's clock. A Pi has no battery for one: without time from the network it starts in the past."""

import datetime

from ...errors import ClockWrong, DeviceError
from ..examination import Examination
from ..finding import Finding, Skipped, ok, warning

GOOD = datetime.timedelta(minutes=1)
WRONG = datetime.timedelta(days=1)
"""Beyond this nothing can be verified, sooner or later."""

_UNITS = (("years", 365 * 86400), ("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))

SET_IT = (
    "set the clock: timedatectl set-ntp true, then timedatectl to see it; NTP needs UDP 123 out, or a server of yours"
)


def clock(examination: Examination) -> Finding:
    """Against the server's Date; offline only against the certificate, which was not issued in the future."""
    here = datetime.datetime.now(datetime.UTC)
    ahead = _server_ahead(examination)
    if ahead is None:
        if _before_certificate(examination, here):
            raise ClockWrong(
                f"this clock says {here:%Y-%m-%d %H:%M} UTC, which is before this device's certificate was issued.",
                cure=SET_IT,
            )
        raise Skipped("no server told the time to compare with.", needs=_obstacle(examination))
    examination.clock_offset = ahead
    there = here + ahead
    facts = {"secondsBehindServer": round(ahead.total_seconds())}
    if abs(ahead) > WRONG or _before_certificate(examination, here) != _before_certificate(examination, there):
        raise ClockWrong(
            f"this clock says {here:%Y-%m-%d %H:%M} UTC and the server's {there:%Y-%m-%d %H:%M}: it is"
            f" {in_words(ahead)}.",
            cure=SET_IT,
        )
    if abs(ahead) > GOOD:
        return warning(f"this clock is {in_words(ahead)}, by the server's.", cure=SET_IT, **facts)
    return ok(f"{here:%Y-%m-%d %H:%M} UTC, as the server's", **facts)


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
    """`3 days slow`; the server's clock is `ahead` of this one."""
    seconds = abs(ahead.total_seconds())
    unit, size = next((unit for unit in _UNITS if seconds >= 2 * unit[1]), _UNITS[-1])
    return f"{seconds // size:.0f} {unit} {'slow' if ahead > datetime.timedelta() else 'fast'}"
