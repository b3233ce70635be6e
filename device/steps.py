"""The steps that bootstrap, renewal and first connection are made of: open the key, enroll, configure, prove, keep.

Each step prints one line, and each can be repeated.
"""

import json
import time
from collections.abc import Callable

from . import configuration as cloud
from . import est, kept, retry
from .certificate import DeviceCertificate
from .configuration import Configuration
from .csr import make_csr
from .device import Device
from .errors import CertificateRefused, DeviceError, Pending, TopicDenied
from .keys import DeviceKey, open_key
from .network import Network
from .report import Report, Step
from .settings import Settings
from .store import StateFolder

# A policy that was attached a moment ago, or a certificate that was registered a moment ago, takes effect within
# seconds, sometimes after a minute or more.
SETTLING_TIME = 120.0


def open_device_key(settings: Settings, report: Report, *, create: bool = False) -> DeviceKey:
    """Open the key, and say which key it is. ``create`` is as for ``open_key``."""
    with report.step("key") as step:
        key = open_key(settings, create=create)
        step.done = f"{key.title()}, {key.fingerprint}"
        step.facts = {"fingerprint": key.fingerprint}
    if key.warning:
        report.warn(key.warning)
    return key


def enroll(
    state: StateFolder,
    key: DeviceKey,
    settings: Settings,
    network: Network,
    report: Report,
    *,
    operation: str = "simpleenroll",
) -> DeviceCertificate:
    """Have a certificate issued, and write it beside the certificate in use. ``operation`` is as for ``est.enroll``."""
    url = settings.url or ""
    with report.step("request") as step:
        csr = make_csr(key, settings.name)
        step.done = f"CSR for CN={settings.name} ({settings.sources['name']}), signed by the {key.title()}"

    def ask() -> DeviceCertificate:
        try:
            return est.enroll(
                url, csr, name=settings.name, token=settings.token, key=key, network=network, operation=operation
            )
        except Pending:
            # From here on ``wait``, or a bootstrap after a power cut, needs no arguments.
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
    state: StateFolder, settings: Settings, network: Network, report: Report, *, refresh: bool
) -> Configuration:
    """The kept configuration, or the cloud's when none is kept or ``refresh`` asks for it."""
    configuration = None if refresh else kept.find_configuration(state)
    if configuration is not None:
        return configuration.as_set(settings)
    with report.step("configure") as step:
        fetched, document = retry.retry(
            lambda: cloud.fetch(settings.url or "", network=network),
            give_up_after=settings.give_up_after,
            on_wait=tell_wait(report),
        )
        state.keep_configuration(document)
        fetched = fetched.as_set(settings)
        step.done = f"fleet {fetched.fleet}, data endpoint {fetched.data_endpoint}"
    return fetched


def prove_over_https(device: Device, report: Report, *, give_up_after: float) -> None:
    """Publish to the device's own topic. A new certificate or policy gets ``give_up_after`` seconds to take effect."""
    with report.step("publish") as step:
        publish_test_message(device, step, report, give_up_after=give_up_after)


def publish_test_message(device: Device, step: Step, report: Report, *, give_up_after: float) -> None:
    """The publish itself, inside a step that the caller has begun."""
    topic = device.configuration.test_topic(device.topic("{device}"))
    if topic is None:
        step.done = "no message: this fleet does not allow its devices to publish"
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
    """A small JSON object: the device, why it publishes, and when (seconds since 1970)."""
    return json.dumps({"device": name, "event": event, "time": int(time.time())}).encode()


def keep(state: StateFolder, certificate: DeviceCertificate, report: Report) -> None:
    """Put the certificate that was proved into use. Changes nothing when it is in use already."""
    if state.certificate() == certificate.pem:
        if state.candidate() is not None:
            state.drop_candidate()
        return
    with report.step("keep") as step:
        state.promote_candidate()
        step.done = str(state.certificate_path)


def tell_wait(report: Report) -> Callable[[DeviceError, float], None]:
    """For ``retry.retry``: say why it waits, and how long."""

    def tell(error: DeviceError, seconds: float) -> None:
        fresh = isinstance(error, CertificateRefused | TopicDenied)
        why = "not in effect yet: " + error.cause if fresh else error.cause
        report.note(f"{why} Again in {seconds:.0f} s.")

    return tell
