"""Every check, in the order in which they run: from the HSM in the Pi to the cloud.

A check is a function in ``checks/<module>.py`` whose name is the check's id with underscores. It is imported when it
runs, so that doctor can report a missing package that other checks need.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check. Ids never change: programs and people refer to them."""

    id: str
    module: str
    about: str
    """What it checks, as a phrase."""

    needs: tuple[str, ...] = ()
    """Checks that have to pass first: this one is skipped when one of them failed or was skipped."""

    after: tuple[str, ...] = ()
    """Checks whose results this one uses, passed or not."""


def _check(id: str, module: str, about: str, *, needs: str = "", after: str = "") -> Check:
    return Check(id=id, module=module, about=about, needs=tuple(needs.split()), after=tuple(after.split()))


CHECKS = (
    _check("settings", "settings", "the settings can be read; where each was found"),
    _check("python", "software", "the Python packages can be imported", needs="settings"),
    _check("tls", "software", "who does TLS: this process, or curl with an engine", needs="python"),
    _check("openssl-engine", "engine", "OpenSSL has the engine for this key", needs="settings", after="tls"),
    _check(
        "curl-engine",
        "engine",
        "curl can use the engine; some versions in Debian cannot",
        needs="settings",
        after="tls openssl-engine",
    ),
    _check(
        "library",
        "hsm",
        "the module, library or engine for the HSM can be used",
        needs="python",
        after="openssl-engine",
    ),
    _check("hsm", "hsm", "the HSM answers", needs="library"),
    _check("slot", "hsm", "the slot holds a P-256 key", needs="hsm"),
    _check("signature", "hsm", "the key makes a correct signature; how long that takes", needs="slot"),
    _check("disk", "storage", "the state folder can be written", needs="settings"),
    _check(
        "file-modes",
        "storage",
        "modes and owners of files: no other user can write them, or read secrets",
        needs="settings",
    ),
    _check("enrollment-dns", "servers", "the enrollment URL's name resolves", needs="settings"),
    _check("enrollment-port", "servers", "the enrollment server's port (443) can be reached", needs="enrollment-dns"),
    _check(
        "clock",
        "clock",
        "this machine's clock agrees with the server's",
        needs="settings",
        after="python enrollment-port",
    ),
    _check(
        "enrollment-server",
        "servers",
        "the enrollment server's certificate leads to a trusted root",
        needs="enrollment-port python",
        after="clock",
    ),
    _check(
        "enrollment",
        "enrollment",
        "the enrollment service answers, and its configuration has not changed",
        needs="enrollment-server",
    ),
    _check(
        "enrollment-fallback",
        "enrollment",
        "the fleet's other enrollment URL answers, if this device knows one",
        needs="python",
        after="enrollment",
    ),
    _check("endpoint-dns", "servers", "the data endpoint's name resolves", needs="settings", after="enrollment"),
    _check(
        "endpoint-https-port", "servers", "the data endpoint's HTTPS port (8443) can be reached", needs="endpoint-dns"
    ),
    _check(
        "endpoint-mqtt-port", "servers", "the data endpoint's MQTT port (8883) can be reached", needs="endpoint-dns"
    ),
    _check(
        "endpoint-server",
        "servers",
        "the data endpoint's certificate leads to a trusted root",
        needs="endpoint-https-port python",
        after="clock",
    ),
    _check(
        "certificate",
        "certificate",
        "there is a certificate; it is valid, and its renewal is not overdue",
        needs="python",
        after="slot clock",
    ),
    _check(
        "certificate-key",
        "certificate",
        "the certificate is for the key in this HSM and slot",
        needs="certificate slot",
    ),
    _check(
        "certificate-accepted",
        "publish",
        "AWS IoT accepts the certificate: mutual TLS and a first answer",
        needs="signature endpoint-server certificate-key",
        after="curl-engine",
    ),
    _check(
        "publish",
        "publish",
        "the IoT policy allows this device to publish to its own topic",
        needs="certificate-accepted",
    ),
    _check(
        "renewal",
        "renewal",
        "systemd renews the certificate, the last renewal run did not fail, and no hook waits",
        needs="python",
        after="slot clock certificate",
    ),
)

BY_ID = {check.id: check for check in CHECKS}


def select(only: Sequence[str]) -> list[Check]:
    """The checks named in ``only`` and those that they depend on, in order; every check when ``only`` is empty.

    Raises:
        UsageError: there is no such check. The error names the checks that there are.
    """
    unknown = [name for name in only if name not in BY_ID]
    if unknown:
        raise UsageError(f"there is no check {unknown[0]!r}.", cure="use one of " + ", ".join(BY_ID))
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
