"""The whole story of a bootstrap, from top to bottom: key, certificate, configuration, proof, keep.

Every step can be repeated. A run that is killed at any point leaves the old certificate or the new one, and the next
run continues from there: the key is the identity, so the cloud answers a repeated request with the same certificate.
"""

from dataclasses import dataclass

from . import kept
from .certificate import DeviceCertificate, now
from .configuration import EXTERNAL_ISSUER, Configuration
from .device import Device
from .errors import UsageError
from .factory_certificate import factory_certificate
from .hooks import run_pending_hooks
from .keys import DeviceKey
from .network import Network
from .report import Report
from .settings import Settings
from .steps import SETTLING_TIME, configure, enroll, keep, open_device_key, prove_over_https, prove_over_mqtt
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


def bootstrap(settings: Settings, report: Report, *, mqtt: bool = False) -> Outcome:
    """Get a certificate for the key, prove it with a publish, and keep it.

    Args:
        mqtt: publish and receive over MQTT too.

    Raises:
        DeviceError: what failed, and what to do.
    """
    if settings.url is None:
        raise UsageError(
            "the enrollment URL is missing.",
            cure="run the command that zymkey-fleet invite has printed: zymkey-iot bootstrap https://…",
        )
    state = StateFolder(settings.state)
    with state.locked():
        key = open_device_key(settings, report, create=True)
        network = Network.from_settings(settings)
        from_factory, settings = factory_certificate(settings, key, report)

        certificate = usable_certificate(state, key, settings, from_factory)
        enrolled = certificate is None
        if certificate is None:
            certificate = enroll(state, key, settings, network, report)
        untried = state.certificate() != certificate.pem
        if untried and certificate is from_factory:
            add_candidate(state, settings, certificate)
        configuration = configure(state, settings, network, report, refresh=untried)

        device = Device(settings, configuration, certificate, key, network)
        signed_elsewhere = certificate is from_factory or configuration.issuer == EXTERNAL_ISSUER
        if untried and not enrolled and signed_elsewhere:
            # Imported here: few devices come with a certificate, and these need it once.
            from .first_connection import prove_first_connection

            device = prove_first_connection(device, state, report)
        else:
            prove_over_https(device, report, give_up_after=SETTLING_TIME if enrolled else 0)
        if mqtt:
            prove_over_mqtt(device, report)
        keep(state, device.certificate, report)
        run_pending_hooks(state, settings, device.certificate, report)
    return Outcome(settings.name, key, device.certificate, configuration, enrolled)


def usable_certificate(
    state: StateFolder, key: DeviceKey, settings: Settings, from_factory: DeviceCertificate | None
) -> DeviceCertificate | None:
    """A certificate that serves without a request to the cloud; None when there is none.

    It is the one from the factory until a later one has been issued, else a kept one that is not due for renewal.
    """
    found = kept_certificates(state, key, settings)
    if from_factory is not None and all(
        each.not_after < from_factory.not_after or each == from_factory for each in found
    ):
        return from_factory
    return next((each for each in found if not each.is_due(now())), None)


def kept_certificates(state: StateFolder, key: DeviceKey, settings: Settings) -> list[DeviceCertificate]:
    """The kept certificates of this key, this name and this cloud. One that cannot be read counts as absent.

    One that was issued and not yet tried, by a run that was interrupted, comes first.
    """
    last = state.device()
    if (last.get("name", settings.name), last.get("url", settings.url)) != (settings.name, settings.url):
        return []
    return [
        certificate
        for certificate in (kept.find_candidate(state), kept.find_certificate(state))
        if certificate is not None
        and certificate.is_for(key.public_key())
        and certificate.common_name in (settings.name, None)
    ]


def add_candidate(state: StateFolder, settings: Settings, certificate: DeviceCertificate) -> None:
    """Write a certificate from the factory beside the one in use.

    From here on ``bootstrap`` and ``wait`` need no arguments.
    """
    state.add_candidate(certificate.pem)
    state.keep_device(name=settings.name, url=settings.url or "", key=settings.key)
