"""The whole story of a bootstrap, from top to bottom: key, certificate, configuration, proof, keep.

Every step can be repeated. A run that is killed at any point leaves the old certificate or the new one, and the next
run continues from there: the key is the identity, so the cloud answers a repeated request with the same certificate.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from . import kept
from .announced_url import settle_urls
from .certificate import DeviceCertificate, now
from .configuration import EXTERNAL_ISSUER, Configuration
from .device import Device
from .errors import UsageError
from .factory_certificate import factory_certificate
from .hooks import run_pending_hooks
from .kept_settings import is_same_device
from .keys import DeviceKey
from .report import Report
from .retry import Deadline
from .settings import Settings
from .spent_token import remove_spent_token
from .steps import (
    SECOND_OPINION_TIME,
    SETTLING_TIME,
    Run,
    configure,
    enroll,
    keep,
    open_device_key,
    prove_over_https,
    prove_over_mqtt,
    trial,
)
from .store import StateFolder


@dataclass(frozen=True)
class Outcome:
    """What the device has afterwards."""

    name: str
    key: DeviceKey
    certificate: DeviceCertificate
    configuration: Configuration
    enrolled: bool
    """Whether the cloud was asked for a certificate."""


def _open_or_make(settings: Settings, report: Report) -> DeviceKey:
    return open_device_key(settings, report, create=True)


def bootstrap(
    settings: Settings,
    report: Report,
    *,
    mqtt: bool = False,
    open_key: Callable[[Settings, Report], DeviceKey] = _open_or_make,
) -> Outcome:
    """Get a certificate for the key, prove it with a publish, and keep it.

    Args:
        mqtt: publish and receive over MQTT too.
        open_key: for a run that is one of several, which has the key already.

    Raises:
        DeviceError: what failed, and what to do.
    """
    if settings.url is None:
        raise UsageError(
            "the enrollment URL is missing.",
            cure="run the command that zymkey-fleet invite has printed: zymkey-iot bootstrap https://…",
        )
    state, deadline = StateFolder(settings.state), Deadline(settings.give_up_after)
    with state.locked():
        key = open_key(settings, report)
        run = Run(settings, state, key, report, deadline)
        outcome = establish(run, mqtt=mqtt)
        remove_spent_token(settings, state, report)
        settings = replace(settings, name=outcome.name)
        run_pending_hooks(state, settings, outcome.certificate, report)
        if state.confirmed() != outcome.certificate.certificate_id:
            # Imported here: a device's first certificate has none before it.
            from .confirmation import confirm

            confirm(replace(run, settings=settings), outcome.certificate)
    return outcome


def establish(run: Run, *, mqtt: bool = False) -> Outcome:
    """Have a certificate of this key, this name and this fleet in use, whatever the state folder holds.

    Raises:
        DeviceError: what failed, and what to do. What was in use stays in use.
    """
    from_factory, settings = factory_certificate(run.settings, run.key, run.report)
    run = replace(run, settings=settings)
    certificate = usable_certificate(run, from_factory)
    enrolled, delivered = certificate is None, None
    if certificate is None:
        issued = enroll(run)
        certificate, delivered = issued.certificate, issued.configuration
    # A device that moves between two deployments that know the same certificate has tried it in the other one alone.
    untried = run.state.certificate() != certificate.pem or not is_same_device(run.state.device(), settings)
    if untried and certificate is from_factory:
        # From here on ``bootstrap`` and ``wait`` need no arguments.
        run.keep_candidate(certificate)
    with trial(run, certificate):
        configuration, document = configure(run, refresh=untried, delivered=delivered)
        device = Device(settings, configuration, certificate, run.key, run.network)
        signed_elsewhere = certificate is from_factory or configuration.issuer == EXTERNAL_ISSUER
        if untried and not enrolled and signed_elsewhere:
            # Imported here: few devices come with a certificate, and these need it once.
            from .first_connection import prove_first_connection

            device = prove_first_connection(device, run)
        else:
            prove_over_https(device, run, within=SETTLING_TIME if enrolled or untried else 0)
        if mqtt:
            prove_over_mqtt(device, run, within=SETTLING_TIME if enrolled or untried else SECOND_OPINION_TIME)
    settle_urls(run, Configuration.from_json(document), device.certificate)
    keep(run, device.certificate, document)
    return Outcome(settings.name, run.key, device.certificate, configuration, enrolled)


def usable_certificate(run: Run, from_factory: DeviceCertificate | None) -> DeviceCertificate | None:
    """A certificate that serves without a request to the cloud; None when there is none.

    It is the one from the factory until a later one has been issued, else a kept one that is not due for renewal.
    """
    found = kept_certificates(run)
    if from_factory is not None and all(
        each.not_after < from_factory.not_after or each == from_factory for each in found
    ):
        return from_factory
    return next((each for each in found if not each.is_due(now())), None)


def kept_certificates(run: Run) -> list[DeviceCertificate]:
    """The kept certificates of this key, this name and this cloud. One that cannot be read counts as absent.

    One that was issued and not yet tried, by a run that was interrupted, comes first.
    """
    state, settings = run.state, run.settings
    candidate = state.candidate()
    found = [
        kept.find_candidate(state) if candidate is not None and is_same_device(candidate.device, settings) else None,
        kept.find_certificate(state) if is_same_device(state.device(), settings) else None,
    ]
    return [
        certificate
        for certificate in found
        if certificate is not None
        and certificate.is_for(run.key.public_key())
        and certificate.common_name in (settings.name, None)
    ]
