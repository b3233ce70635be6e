"""The whole story of a bootstrap, top to bottom: key, certificate, configuration, proof, keep.

Every step can be repeated. A run that is killed anywhere leaves the old certificate or the new one, and the
next run goes on from there: the key is the identity, so the cloud answers a repeated request with the same
certificate.
"""

import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import configuration as cloud
from . import est, retry
from .certificate import DeviceCertificate, now
from .configuration import Configuration
from .csr import make_csr
from .device import Device
from .errors import CertificateRefused, DeviceError, Pending, TopicDenied, UsageError
from .factory_certificate import factory_certificate
from .hooks import run_pending_hooks
from .keys import DeviceKey, open_key
from .report import Report, Step
from .settings import Settings
from .store import StateFolder
from .tls import client_context

# A policy that was attached a moment ago, or a certificate registered a moment ago, takes effect within
# seconds, sometimes a minute or more.
SETTLING_TIME = 120.0


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
    """Get a certificate for the key, prove it with a publish, keep it. Raises DeviceError."""
    if settings.url is None:
        raise UsageError(
            "the enrollment URL is missing.",
            cure="zymkey-iot bootstrap https://…, as zymkey-fleet invite prints it",
        )
    state = StateFolder(settings.state)
    with state.locked():
        key = open_the_key(settings, report, create=True)
        context = client_context(settings.ca_file)
        brought, settings = factory_certificate(settings, key, report)

        certificate = certificate_in_hand(state, key, settings, brought)
        enrolled = certificate is None
        if certificate is None:
            certificate = enroll(state, key, settings, context, report)
        untried = state.certificate() != certificate.pem
        if untried and certificate is brought:
            put_in(state, settings, certificate)
        configuration = configure(state, settings, context, report, refresh=untried)

        device = Device(settings, configuration, certificate, key, context)
        if untried and not enrolled and (certificate is brought or configuration.issuer == "external"):
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


def open_the_key(settings: Settings, report: Report, *, create: bool = False) -> DeviceKey:
    """Open the key and say which it is."""
    with report.step("key") as step:
        key = open_key(settings.key, state=settings.state, create=create)
        step.done = f"{key.title()}, {key.fingerprint}"
        step.facts = {"fingerprint": key.fingerprint}
    if key.warning:
        report.warn(key.warning)
    return key


def certificate_in_hand(
    state: StateFolder, key: DeviceKey, settings: Settings, brought: DeviceCertificate | None
) -> DeviceCertificate | None:
    """A certificate that serves without asking for one: `brought` until a later one has been issued; else one that is
    here already and not due."""
    here = certificates_here(state, key, settings)
    if brought is not None and all(each.not_after < brought.not_after or each == brought for each in here):
        return brought
    return next((each for each in here if not each.is_due(now())), None)


def certificates_here(state: StateFolder, key: DeviceKey, settings: Settings) -> list[DeviceCertificate]:
    """What is kept of this key, this name and this cloud. What cannot be read is as good as absent.

    One that was issued and not tried yet (an interrupted run) comes first.
    """
    last = state.device()
    if (last.get("name", settings.name), last.get("url", settings.url)) != (settings.name, settings.url):
        return []
    found = []
    for pem, source in (
        (state.candidate(), state.candidate_path),
        (state.certificate(), state.certificate_path),
    ):
        if pem is None:
            continue
        try:
            certificate = DeviceCertificate.from_pem(pem, source=str(source))
        except DeviceError:
            continue
        right_name = certificate.common_name in (settings.name, None)
        if certificate.is_for(key.public_key()) and right_name:
            found.append(certificate)
    return found


def put_in(state: StateFolder, settings: Settings, certificate: DeviceCertificate) -> None:
    """Put a certificate that came along beside the one in use. From here on bootstrap and wait need no arguments."""
    state.add_candidate(certificate.pem)
    state.keep_device(name=settings.name, url=settings.url or "", key=settings.key)


def enroll(
    state: StateFolder,
    key: DeviceKey,
    settings: Settings,
    context: ssl.SSLContext,
    report: Report,
    *,
    operation: str = "simpleenroll",
) -> DeviceCertificate:
    """Have a certificate issued, and put it beside the one in use."""
    url = settings.url or ""
    with report.step("request") as step:
        csr = make_csr(key, settings.name)
        step.done = f"CSR for CN={settings.name} ({settings.sources['name']}), signed by the {key.title()}"

    def ask() -> DeviceCertificate:
        try:
            return est.enroll(
                url, csr, name=settings.name, token=settings.token, key=key, context=context, operation=operation
            )
        except Pending:
            # From here on the device can be asked for without arguments: by `wait`, or after a power cut.
            state.keep_device(name=settings.name, url=url, key=settings.key)
            raise

    with report.step("enroll") as step:
        certificate = retry.retry(ask, give_up_after=settings.give_up_after, on_wait=tell_wait(report))
        state.keep_device(name=settings.name, url=url, key=settings.key)
        state.add_candidate(certificate.pem)
        step.done = f"certificate {certificate.certificate_id[:12]}… until {certificate.not_after:%Y-%m-%d}"
        step.facts = {"certificateId": certificate.certificate_id}
    return certificate


def configure(
    state: StateFolder, settings: Settings, context: ssl.SSLContext, report: Report, *, refresh: bool
) -> Configuration:
    """The configuration that is here, or the cloud's when there is none or `refresh` asks for it."""
    kept = None if refresh else kept_configuration(state)
    if kept is not None:
        return kept.as_set(settings)
    with report.step("configure") as step:
        fetched, document = retry.retry(
            lambda: cloud.fetch(settings.url or "", context=context),
            give_up_after=settings.give_up_after,
            on_wait=tell_wait(report),
        )
        state.keep_configuration(document)
        fetched = fetched.as_set(settings)
        step.done = f"fleet {fetched.fleet}, data endpoint {fetched.data_endpoint}"
    return fetched


def kept_configuration(state: StateFolder) -> Configuration | None:
    """What configuration.json says; None when it is absent or says nothing that can be used."""
    document = state.configuration()
    try:
        return Configuration.from_json(document) if document else None
    except ValueError:
        return None


def prove_over_https(device: Device, report: Report, *, give_up_after: float) -> None:
    """Publish to a topic of our own. A fresh certificate or policy is given time to take effect."""
    with report.step("publish") as step:
        publish_test_message(device, step, report, give_up_after=give_up_after)


def publish_test_message(device: Device, step: Step, report: Report, *, give_up_after: float) -> None:
    """The publish itself, for a step that somebody has begun."""
    topic = device.configuration.test_topic(device.topic("{device}"))
    if topic is None:
        step.done = "nothing: the fleet's devices may not publish"
        return
    publisher = device.https()
    retry.retry(
        lambda: publisher.publish(topic, test_message(device.settings.name)),
        give_up_after=give_up_after,
        on_wait=tell_wait(report),
    )
    step.done = f"{topic}, over mutual TLS ({publisher.how})"
    step.facts = {"topic": topic, "how": publisher.how}


def prove_over_mqtt(device: Device, report: Report) -> None:
    """Publish over MQTT and receive the message."""
    topic = device.configuration.test_topic(device.settings.name)
    if topic is None:
        return
    with report.step("mqtt") as step:
        device.mqtt().run(topic, test_message(device.settings.name))
        step.done = f"{topic}, published and received"
        step.facts = {"topic": topic}


def test_message(name: str, event: str = "bootstrap") -> bytes:
    return json.dumps({"device": name, "event": event, "time": int(time.time())}).encode()


def keep(state: StateFolder, certificate: DeviceCertificate, report: Report) -> None:
    """Promote the certificate that has proved itself. Changes nothing when it is the one in use."""
    if state.certificate() == certificate.pem:
        if state.candidate() is not None:
            state.drop_candidate()
        return
    with report.step("keep") as step:
        state.promote_candidate()
        step.done = str(state.certificate_path)


def tell_wait(report: Report) -> Callable[[DeviceError, float], None]:
    """For `retry.retry`: say why it waits, and how long."""

    def tell(error: DeviceError, seconds: float) -> None:
        fresh = isinstance(error, CertificateRefused | TopicDenied)
        why = "not in effect yet: " + error.cause if fresh else error.cause
        report.note(f"{why} Again in {seconds:.0f} s.")

    return tell
