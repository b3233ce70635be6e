"""Every check, in the order in which they are run: from the inside of the Pi outwards.

A check is a function in `checks/<module>.py` that is called as its id is, with underscores. It is imported when
it is run, so that doctor can also say that a package is missing which the other checks cannot do without.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check. Ids are stable: programs and people refer to them."""

    id: str
    module: str
    about: str
    """What it checks, as a phrase."""

    needs: tuple[str, ...] = ()
    """Checks without which this one makes no sense: it is skipped when one of them failed or was skipped."""

    after: tuple[str, ...] = ()
    """Checks whose result this one looks at, whatever it is."""


def _check(id: str, module: str, about: str, *, needs: str = "", after: str = "") -> Check:
    return Check(id=id, module=module, about=about, needs=tuple(needs.split()), after=tuple(after.split()))


CHECKS = (
    _check("settings", "settings", "the settings can be read; where each comes from"),
    _check("python", "software", "the Python packages are there and fit", needs="settings"),
    _check("tls", "software", "how TLS is done: in this process, or by curl with an engine", needs="python"),
    _check("openssl-engine", "engine", "OpenSSL has the engine for this key", needs="settings", after="tls"),
    _check(
        "curl-engine",
        "engine",
        "curl can use the engine; some Debian versions cannot",
        needs="settings",
        after="tls openssl-engine",
    ),
    _check(
        "library", "hsm", "module, library or engine between here and the HSM", needs="python", after="openssl-engine"
    ),
    _check("hsm", "hsm", "the HSM answers", needs="library"),
    _check("slot", "hsm", "the slot holds a P-256 key", needs="hsm"),
    _check("signature", "hsm", "the key signs, correctly, and how long that takes", needs="slot"),
    _check("disk", "storage", "the state folder can be written", needs="settings"),
    _check("file-modes", "storage", "modes and owners of what must not be open", needs="settings"),
    _check("enrollment-dns", "servers", "the enrollment URL's name resolves", needs="settings"),
    _check("enrollment-port", "servers", "its port (443) is reached", needs="enrollment-dns"),
    _check("clock", "clock", "this clock against the server's", needs="settings", after="python enrollment-port"),
    _check(
        "enrollment-server",
        "servers",
        "its certificate leads to a trusted root",
        needs="enrollment-port python",
        after="clock",
    ),
    _check(
        "enrollment",
        "enrollment",
        "the enrollment service answers, and still says what it said",
        needs="enrollment-server",
    ),
    _check("endpoint-dns", "servers", "the data endpoint's name resolves", needs="settings", after="enrollment"),
    _check("endpoint-https-port", "servers", "its HTTPS port (8443) is reached", needs="endpoint-dns"),
    _check("endpoint-mqtt-port", "servers", "its MQTT port (8883) is reached", needs="endpoint-dns"),
    _check(
        "endpoint-server",
        "servers",
        "its certificate leads to a trusted root",
        needs="endpoint-https-port python",
        after="clock",
    ),
    _check(
        "certificate",
        "certificate",
        "there is a certificate, it is valid, and not overdue",
        needs="python",
        after="slot clock",
    ),
    _check("certificate-key", "certificate", "it is for the key in this HSM and slot", needs="certificate slot"),
    _check(
        "certificate-accepted",
        "publish",
        "AWS IoT accepts it: mutual TLS and a first read",
        needs="signature endpoint-server certificate-key",
        after="curl-engine",
    ),
    _check("publish", "publish", "the IoT policy allows the device's own topic", needs="certificate-accepted"),
)

BY_ID = {check.id: check for check in CHECKS}


def select(only: Sequence[str]) -> list[Check]:
    """The checks named in `only` and all that they depend on, in order; every check when it is empty.

    Raises UsageError, naming the checks that there are.
    """
    unknown = [name for name in only if name not in BY_ID]
    if unknown:
        raise UsageError(f"there is no check {unknown[0]!r}.", cure="one of " + ", ".join(BY_ID))
    if not only:
        return list(CHECKS)
    wanted: set[str] = set()
    open_ends = list(only)
    while open_ends:
        check = BY_ID[open_ends.pop()]
        if check.id not in wanted:
            wanted.add(check.id)
            open_ends += (*check.needs, *check.after)
    return [check for check in CHECKS if check.id in wanted]
