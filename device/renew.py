"""A new certificate for the same key: requested, tried, and only then used. The old one stays in use until then."""

import datetime
import hashlib
import os
from dataclasses import replace

from .announced_url import settle_urls
from .certificate import DeviceCertificate, now
from .configuration import Configuration
from .device import Device
from .errors import DeviceError, Pending, UsageError
from .est import Issued
from .hooks import run_pending_hooks
from .kept import belongs_to_another_key, find_candidate, find_certificate, find_configuration, read_certificate
from .kept_settings import is_same_device, with_former_urls, with_urls
from .keys import DeviceKey
from .report import Report
from .retry import Deadline
from .settings import Settings
from .steps import SETTLING_TIME, Run, configure, enroll, keep, open_device_key, prove_over_https, trial
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
    state, deadline = StateFolder(settings.state), Deadline(settings.give_up_after)
    with state.locked():
        if not state.device():
            read_certificate(state)
        before = find_certificate(state)
        try:
            key = open_device_key(settings, report)
            run = Run(settings, state, key, report, deadline, renewal=True)
            _renew(run, before, if_due=if_due)
        except DeviceError:
            _tell_late_hooks(state, settings, report)
            raise
        in_use = read_certificate(state)
        # Last, because no hook may keep a renewal from happening.
        run_pending_hooks(state, settings, in_use, report)
        _confirm(run, in_use)
        return None if before is not None and in_use.der == before.der else in_use


def _confirm(run: Run, in_use: DeviceCertificate) -> None:
    if run.state.confirmed() != in_use.certificate_id:
        # Imported here: there is a new certificate once in many runs.
        from .confirmation import confirm

        confirm(run, in_use)


def _tell_late_hooks(state: StateFolder, settings: Settings, report: Report) -> None:
    """Run the hooks of an earlier renewal although this one failed. Its error matters more than theirs."""
    certificate = find_certificate(state)
    if certificate is None:
        return
    try:
        run_pending_hooks(state, settings, certificate, report)
    except DeviceError as failure:
        report.warn(failure.cause)


def _renew(run: Run, current: DeviceCertificate | None, *, if_due: bool) -> None:
    """Put a new certificate into use if one is due, or if what is kept cannot be used."""
    if current is None or not current.is_for(run.key.public_key()):
        _establish(_under_its_own_name(run, current))
        return
    candidate, delivered = untried_candidate(run, current), None
    if candidate is None and if_due and now() < renewal_time(current, run.key):
        if find_configuration(run.state) is None:
            _establish(run)
        _check_roots(run.settings)
        answer = _daily_question(run, current)
        if answer is None:
            return
        candidate, delivered = answer.certificate, answer.configuration
    if candidate is None:
        issued = request_new_certificate(run, current)
        candidate, delivered = issued.certificate, issued.configuration
    if candidate.der == current.der:
        run.drop_candidate()
        _take_up_url(run, current, delivered)
        return
    with trial(run, candidate):
        configuration, document = configure(run, refresh=True, delivered=delivered)
        prove_over_https(
            Device(run.settings, configuration, candidate, run.key, run.network), run, within=SETTLING_TIME
        )
    settle_urls(run, Configuration.from_json(document), candidate)
    keep(run, candidate, document)


def _daily_question(run: Run, current: DeviceCertificate) -> Issued | None:
    """What the cloud has for a device whose certificate is not due; None when it was not asked, or has nothing to say.

    Raises:
        Pending: the operator has asked for a renewal, and it has to wait: as for one that is due.
    """
    # Imported here: one run of four asks.
    from . import question

    # What a bootstrap for another name or fleet has begun is left alone, and so is its request.
    if not run.owns_candidate() or not question.is_due(run):
        return None
    try:
        answer = question.ask(run)
    except Pending:
        return request_new_certificate(run, current)
    if answer is None:
        return None
    is_news = answer.certificate.der != current.der
    if is_news:
        run.keep_candidate(answer.certificate)
    question.note_answer(run)
    # A cloud of an earlier release sends no configuration with it: its announcements wait for the renewal.
    return answer if is_news or answer.configuration is not None else None


def _take_up_url(run: Run, current: DeviceCertificate, delivered: bytes | None) -> None:
    """Take up a new enrollment URL although no certificate is due; the rest of the configuration waits for that.

    It fails never: the device has what it needs.
    """
    in_use = run.state.in_use()
    if find_configuration(run.state) is None or not is_same_device(in_use.device, run.settings):
        return
    try:
        _, document = configure(run, refresh=True, delivered=delivered)
    except DeviceError as failure:
        run.report.warn(f"the configuration cannot be fetched now: {failure.cause}")
        return
    settle_urls(run, Configuration.from_json(document), current)
    # Nothing else of what this run was told has been proved.
    device = with_former_urls(with_urls(in_use.device, **run.urls_to_keep, chosen=run.urls.chosen), in_use.device)
    if device != in_use.device:
        run.state.promote(replace(in_use, device=device))


def _establish(run: Run) -> None:
    """Put right what bootstrap would."""
    # Imported here: it is what a run needs least often.
    from .bootstrap import establish

    establish(run)


def _check_roots(settings: Settings) -> None:
    """Say now, and not on the day when the renewal is due, that this user cannot read the roots.

    A bootstrap by root may have used a file that the service's user cannot see, and files in /tmp do not last.

    Raises:
        UsageError: the file of roots cannot be read.
    """
    if settings.ca_file is not None and not os.access(settings.ca_file, os.R_OK):
        from .tls import client_context

        client_context(settings.ca_file)


def _under_its_own_name(run: Run, current: DeviceCertificate | None) -> Run:
    """A card that was copied after its bootstrap is another device: it may enroll, but not under the first one's name.

    For that device counts what the card's settings file says.

    Raises:
        CertificateUnusable: the only name that is known belongs to another key.
    """
    known = run.state.device()
    names = {known.get("name"), current and current.common_name}
    if current is None and known.get("fingerprint", run.key.fingerprint) == run.key.fingerprint:
        return run
    if run.settings.of_card is not None:
        run = replace(run, settings=run.settings.of_card)
    if run.settings.name in names:
        raise belongs_to_another_key(run.key)
    run.report.note(
        f"what is kept here belongs to {known.get('name', 'another device')} and its key; this is another key, and gets"
        f" a certificate of its own as {run.settings.name} ({run.settings.sources['name']})."
    )
    return run


def request_new_certificate(run: Run, current: DeviceCertificate) -> Issued:
    """A certificate from the cloud.

    Raises:
        Pending: it has to be signed first. The old certificate stays in use.
    """
    try:
        return enroll(run, operation="simplereenroll")
    except Pending as pending:
        pending.cause += f" The old certificate stays in use; it is valid until {current.not_after:%Y-%m-%d}."
        raise


def renewal_time(certificate: DeviceCertificate, key: DeviceKey) -> datetime.datetime:
    """When this device asks for its renewal: at two thirds of the certificate's life, plus a jitter.

    The jitter keeps a fleet that was enrolled in one afternoon from renewing in one afternoon. It is computed from the
    key, so it stays the same each time that the timer looks.
    """
    jitter = int.from_bytes(hashlib.sha256(key.fingerprint.encode()).digest()[:4], "big") / 2**32
    return certificate.due_at + (certificate.not_after - certificate.due_at) / SPREAD * jitter


def untried_candidate(run: Run, current: DeviceCertificate) -> DeviceCertificate | None:
    """A certificate that an interrupted renewal left behind, if it is newer than the one in use, and not due itself.

    Amazon's all end on one day, and those of a CA that ends itself: of such two, the one that begins later is newer.
    """
    kept_candidate, candidate = run.state.candidate(), find_candidate(run.state)
    if kept_candidate is None or candidate is None or not is_same_device(kept_candidate.device, run.settings):
        return None
    if _life(candidate) <= _life(current) or candidate.is_due(now()):
        return None
    return candidate if candidate.is_for(run.key.public_key()) else None


def _life(certificate: DeviceCertificate) -> tuple[datetime.datetime, datetime.datetime]:
    return certificate.not_after, certificate.not_before
