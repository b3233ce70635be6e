"""A new certificate for the same key: asked for, tried, and only then in use. The old one serves until then."""

import datetime
import hashlib
import ssl

from .certificate import DeviceCertificate, now
from .device import Device
from .errors import Pending, UsageError
from .hooks import run_pending_hooks
from .kept import check_is_for, find_candidate, read_certificate
from .keys import DeviceKey
from .report import Report
from .settings import Settings
from .steps import SETTLING_TIME, configure, enroll, keep, open_device_key, prove_over_https
from .store import StateFolder
from .tls import client_context

# How much of the time that is left when a renewal is due may pass before this device asks.
SPREAD = 4


def renew(settings: Settings, report: Report, *, if_due: bool) -> DeviceCertificate | None:
    """Renew, and return the new certificate; None when the one in use is fresh. Raises DeviceError.

    With `if_due` nothing is asked for before its time; without, the cloud decides, which answers a certificate
    that is fresh with the same again.
    """
    if settings.url is None:
        raise UsageError("this device has never been bootstrapped.", cure="zymkey-iot bootstrap https://…")
    state = StateFolder(settings.state)
    with state.locked():
        current = read_certificate(state)
        key = open_device_key(settings, report)
        check_is_for(current, key)
        run_pending_hooks(state, settings, current, report)

        candidate = untried_candidate(state, key, current)
        if candidate is None and if_due and now() < renewal_time(current, key):
            return None
        context = client_context(settings.ca_file)
        if candidate is None:
            candidate = ask_for_another(state, key, settings, context, report, current)
        if candidate.der == current.der:
            state.drop_candidate()
            return None
        configuration = configure(state, settings, context, report, refresh=True)
        device = Device(settings, configuration, candidate, key, context)
        prove_over_https(device, report, give_up_after=SETTLING_TIME)
        keep(state, candidate, report)
        run_pending_hooks(state, settings, candidate, report)
        return candidate


def ask_for_another(
    state: StateFolder,
    key: DeviceKey,
    settings: Settings,
    context: ssl.SSLContext,
    report: Report,
    current: DeviceCertificate,
) -> DeviceCertificate:
    """A new certificate. Raises Pending when it has to be signed first, which changes nothing about the old one."""
    try:
        return enroll(state, key, settings, context, report, operation="simplereenroll")
    except Pending as pending:
        raise Pending(
            f"{pending.cause} Until then the old certificate stays in use; it is valid until"
            f" {current.not_after:%Y-%m-%d}.",
            cure=pending.cure,
            retry_after=pending.retry_after,
        ) from None


def renewal_time(certificate: DeviceCertificate, key: DeviceKey) -> datetime.datetime:
    """When this device asks: at two thirds of the life and a jitter, which its key decides.

    A fleet that was enrolled in one afternoon is not to come back in one afternoon. The same key gets the same
    jitter, so a timer that looks every day does not draw a new one every day.
    """
    jitter = int.from_bytes(hashlib.sha256(key.fingerprint.encode()).digest()[:4], "big") / 2**32
    return certificate.due_at + (certificate.not_after - certificate.due_at) / SPREAD * jitter


def untried_candidate(state: StateFolder, key: DeviceKey, current: DeviceCertificate) -> DeviceCertificate | None:
    """A certificate that an interrupted renewal left, if it is newer than the one in use."""
    candidate = find_candidate(state)
    if candidate is None or candidate.not_after <= current.not_after:
        return None
    return candidate if candidate.is_for(key.public_key()) else None
