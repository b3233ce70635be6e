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


CHECKS = (
    Check(id="settings", module="settings", about="the settings can be read; where each comes from"),
    Check(id="python", module="software", about="the Python packages are there and fit", needs=("settings",)),
    Check(
        id="tls",
        module="software",
        about="how TLS is done: in this process, or by curl with an engine",
        needs=("python",),
    ),
    Check(
        id="openssl-engine",
        module="engine",
        about="OpenSSL has the engine for this key",
        needs=("settings",),
        after=("tls",),
    ),
    Check(
        id="curl-engine",
        module="engine",
        about="curl can use the engine; some Debian versions cannot",
        needs=("settings",),
        after=("tls", "openssl-engine"),
    ),
    Check(
        id="library",
        module="hsm",
        about="module, library or engine between here and the HSM",
        needs=("python",),
        after=("openssl-engine",),
    ),
    Check(id="hsm", module="hsm", about="the HSM answers", needs=("library",)),
    Check(id="slot", module="hsm", about="the slot holds a P-256 key", needs=("hsm",)),
    Check(id="signature", module="hsm", about="the key signs, correctly, and how long that takes", needs=("slot",)),
    Check(id="disk", module="storage", about="the state folder can be written", needs=("settings",)),
    Check(id="file-modes", module="storage", about="modes and owners of what must not be open", needs=("settings",)),
    Check(id="enrollment-dns", module="servers", about="the enrollment URL's name resolves", needs=("settings",)),
    Check(id="enrollment-port", module="servers", about="its port (443) is reached", needs=("enrollment-dns",)),
    Check(
        id="clock",
        module="clock",
        about="this clock against the server's",
        needs=("settings",),
        after=("python", "enrollment-port"),
    ),
    Check(
        id="enrollment-server",
        module="servers",
        about="its certificate leads to a trusted root",
        needs=("enrollment-port", "python"),
        after=("clock",),
    ),
    Check(
        id="enrollment",
        module="enrollment",
        about="the enrollment service answers, and still says what it said",
        needs=("enrollment-server",),
    ),
    Check(
        id="endpoint-dns",
        module="servers",
        about="the data endpoint's name resolves",
        needs=("settings",),
        after=("enrollment",),
    ),
    Check(
        id="endpoint-https-port", module="servers", about="its HTTPS port (8443) is reached", needs=("endpoint-dns",)
    ),
    Check(id="endpoint-mqtt-port", module="servers", about="its MQTT port (8883) is reached", needs=("endpoint-dns",)),
    Check(
        id="endpoint-server",
        module="servers",
        about="its certificate leads to a trusted root",
        needs=("endpoint-https-port", "python"),
        after=("clock",),
    ),
    Check(
        id="certificate",
        module="certificate",
        about="there is a certificate, it is valid, and not overdue",
        needs=("python",),
        after=("slot", "clock"),
    ),
    Check(
        id="certificate-key",
        module="certificate",
        about="it is for the key in this HSM and slot",
        needs=("certificate", "slot"),
    ),
    Check(
        id="certificate-accepted",
        module="publish",
        about="AWS IoT accepts it: mutual TLS and a first read",
        needs=("signature", "endpoint-server", "certificate-key"),
        after=("curl-engine",),
    ),
    Check(
        id="publish",
        module="publish",
        about="the IoT policy allows the device's own topic",
        needs=("certificate-accepted",),
    ),
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
