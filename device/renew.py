"""A new certificate for the same key: requested, tried, and only then used. The old one stays in use until then."""

import datetime
import hashlib

from .certificate import DeviceCertificate, now
from .device import Device
from .errors import DeviceError, HookFailed, Pending, UsageError
from .hooks import run_pending_hooks
from .kept import check_is_for, find_candidate, find_certificate, read_certificate
from .keys import DeviceKey
from .network import Network
from .report import Report
from .settings import Settings
from .steps import SETTLING_TIME, configure, enroll, keep, open_device_key, prove_over_https
from .store import StateFolder

# A device asks within this fraction, one fourth, of the time that is left when its renewal becomes due.
SPREAD = 4


def renew(settings: Settings, report: Report, *, if_due: bool) -> DeviceCertificate | None:
    """Renew, and return the new certificate; None when the one in use is not due.

    Args:
        if_due: do not ask the cloud before ``renewal_time``. Otherwise the cloud decides: it sends the same certificate
            again until that is due.

    Raises:
        DeviceError: what failed, and what to do. The old certificate stays in use.
        HookFailed: the renewal went well, or was not due; a hook is left to run.
    """
    if settings.url is None:
        raise UsageError(
            "this device has no enrollment URL: it was never bootstrapped.", cure="zymkey-iot bootstrap https://…"
        )
    state = StateFolder(settings.state)
    with state.locked():
        try:
            renewed, in_use = _renew(state, settings, report, if_due=if_due)
        except DeviceError:
            _tell_late_hooks(state, settings, report)
            raise
        # Last, because no hook may keep a renewal from happening.
        run_pending_hooks(state, settings, in_use, report)
        return renewed


def _tell_late_hooks(state: StateFolder, settings: Settings, report: Report) -> None:
    """Run the hooks of an earlier renewal although this one failed. Its error matters more than theirs."""
    certificate = find_certificate(state)
    if certificate is None:
        return
    try:
        run_pending_hooks(state, settings, certificate, report)
    except HookFailed as failure:
        report.warn(failure.cause)


def _renew(
    state: StateFolder, settings: Settings, report: Report, *, if_due: bool
) -> tuple[DeviceCertificate | None, DeviceCertificate]:
    """The new certificate or None, and the one that is in use afterwards."""
    current = read_certificate(state)
    key = open_device_key(settings, report)
    check_is_for(current, key)
    candidate = untried_candidate(state, key, current)
    if candidate is None and if_due and now() < renewal_time(current, key):
        return None, current
    network = Network.from_settings(settings)
    if candidate is None:
        candidate = request_new_certificate(state, key, settings, network, report, current)
    if candidate.der == current.der:
        state.drop_candidate()
        return None, current
    configuration = configure(state, settings, network, report, refresh=True)
    device = Device(settings, configuration, candidate, key, network)
    prove_over_https(device, report, give_up_after=SETTLING_TIME)
    keep(state, candidate, report)
    return candidate, candidate


def request_new_certificate(
    state: StateFolder,
    key: DeviceKey,
    settings: Settings,
    network: Network,
    report: Report,
    current: DeviceCertificate,
) -> DeviceCertificate:
    """A certificate from the cloud.

    Raises:
        Pending: it has to be signed first. The old certificate stays in use.
    """
    try:
        return enroll(state, key, settings, network, report, operation="simplereenroll")
    except Pending as pending:
        raise Pending(
            f"{pending.cause} The old certificate stays in use; it is valid until {current.not_after:%Y-%m-%d}.",
            cure=pending.cure,
            retry_after=pending.retry_after,
        ) from None


def renewal_time(certificate: DeviceCertificate, key: DeviceKey) -> datetime.datetime:
    """When this device asks for its renewal: at two thirds of the certificate's life, plus a jitter.

    The jitter keeps a fleet that was enrolled in one afternoon from renewing in one afternoon. It is computed from the
    key, so it stays the same each time that the timer looks.
    """
    jitter = int.from_bytes(hashlib.sha256(key.fingerprint.encode()).digest()[:4], "big") / 2**32
    return certificate.due_at + (certificate.not_after - certificate.due_at) / SPREAD * jitter


def untried_candidate(state: StateFolder, key: DeviceKey, current: DeviceCertificate) -> DeviceCertificate | None:
    """A certificate that an interrupted renewal left behind, if it is newer than the one in use."""
    candidate = find_candidate(state)
    if candidate is None or candidate.not_after <= current.not_after:
        return None
    return candidate if candidate.is_for(key.public_key()) else None
