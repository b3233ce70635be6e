"""The steps that bootstrap, renewal and first connection are made of: open the key, enroll, configure, prove, keep.

Each step prints one line, and each can be repeated.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeVar, cast

from . import configuration as cloud
from . import est, kept, kept_settings, retry
from .candidate import Candidate, Turn
from .certificate import DeviceCertificate
from .configuration import Configuration
from .csr import kept_csr, make_csr, to_pem
from .device import Device
from .enrollment_urls import EnrollmentUrls
from .errors import (
    AlreadyRunning,
    Busy,
    CertificateRefused,
    DeviceError,
    EnrollmentRefused,
    Pending,
    Queued,
    RequestRefused,
    StorageError,
    TopicDenied,
)
from .keys import DeviceKey, open_key
from .mqtt_publish import MqttRoundTrip
from .network import Network
from .report import Report, Step
from .settings import Settings
from .shared_port import DataPort
from .store import StateFolder

# A policy that was attached a moment ago, or a certificate that was registered a moment ago, takes effect within
# seconds, sometimes after a minute or more.
SETTLING_TIME = 120.0
# For a new connection over MQTT to be judged anew, where nothing is known to have changed.
SECOND_OPINION_TIME = 10.0
# A run of the timer waits for a turn in the fleet's queue that comes within this time, in seconds. It is longer than
# the time between two runs (six and a half hours with the timer's jitter), so the last run before the turn waits for
# it: a turn that is missed by an hour is lost.
TURN_WITHIN = 7 * 3600.0
# What a service waits for within one try. Longer waits are between the tries.
_ONE_TRY = 300.0
# Errors of a trial that came from the right servers: the settings that led there are not to blame.
_REACHED = (Busy, CertificateRefused, EnrollmentRefused, Pending, TopicDenied)

Result = TypeVar("Result")


def open_device_key(settings: Settings, report: Report, *, create: bool = False) -> DeviceKey:
    """Open the key, and say which key it is. ``create`` is as for ``open_key``.

    Raises:
        UsageError, KeyUnavailable: as ``open_key`` raises them.
    """
    with report.step("key") as step:
        key = open_key(settings, create=create)
        step.done = f"{key.title()}, {key.fingerprint}"
        step.facts = {"fingerprint": key.fingerprint}
    if key.warning:
        report.warn(key.warning)
    return key


@dataclass(frozen=True)
class Run:
    """One run of bootstrap or renew: what its steps share. ``deadline`` bounds all of them, but not the hooks."""

    settings: Settings
    state: StateFolder
    key: DeviceKey
    report: Report
    deadline: retry.Deadline
    renewal: bool = False
    ports: dict[str, int] = field(default_factory=dict)
    """Of the data endpoint, by their settings: those that were used because the configuration's are closed."""

    urls_to_keep: dict[str, str | None] = field(default_factory=dict)
    """Of the fleet, by their settings, where they are not to stay as they are."""

    @cached_property
    def network(self) -> Network:
        """Made when it is needed: most runs of the timer find that nothing is due."""
        return Network.from_settings(self.settings)

    @cached_property
    def urls(self) -> EnrollmentUrls:
        """The fleet's enrollment URLs, and which of them answers."""
        return EnrollmentUrls(
            self.settings, self.state, self.report, network=lambda: self.network, renewal=self.renewal
        )

    @cached_property
    def csr(self) -> bytes:
        """Signed once, however often it is sent, and by however many runs.

        Raises:
            KeyUnavailable: as ``make_csr`` raises it.
            StorageError: it cannot be kept.
        """
        kept_one = kept_csr(self.state.request(), self.key, self.settings.name)
        if kept_one is not None:
            return kept_one
        csr = make_csr(self.key, self.settings.name)
        if self.owns_candidate():
            self.state.keep_request(to_pem(csr))
        return csr

    def keep_candidate(self, certificate: DeviceCertificate | None, *, turn: Turn | None = None) -> None:
        """Have the next run go on from here."""
        if self.owns_candidate():
            self.state.keep_candidate(replace(self.candidate(certificate), turn=turn))

    def drop_candidate(self) -> None:
        if self.owns_candidate():
            self.state.drop_candidate()

    def drop_request(self) -> None:
        """Have the next run sign another request: the cloud does not take this one."""
        if self.owns_candidate():
            self.state.drop_request()

    def owns_candidate(self) -> bool:
        """A renewal leaves alone what a bootstrap for another name or another fleet has begun."""
        candidate = self.state.candidate() if self.renewal else None
        return candidate is None or kept_settings.is_same_device(candidate.device, self.settings)

    def retried(self, operation: Callable[[], Result], *, within_one_try: float = _ONE_TRY) -> Result:
        """``operation``, tried again while its error is transient and there is time.

        Args:
            within_one_try: in seconds, for a service's bootstrap, which is tried as a whole again (``unattended``).
        """
        unattended = self.settings.unattended
        tell = tell_wait(self.report)

        def on_wait(error: DeviceError, seconds: float) -> None:
            if turn_within and isinstance(error, Queued):
                self.deadline.put_off(seconds)
            tell(error, seconds)

        turn_within = TURN_WITHIN if unattended and self.renewal else 0.0
        # On a terminal one line counts down.
        attempt = partial(retry.retry, sleep=self.report.count_down) if self.report.is_watched else retry.retry
        return attempt(
            operation,
            give_up_after=self.deadline.left(within_one_try if unattended and not self.renewal else math.inf),
            on_wait=on_wait,
            meanwhile=self._let_others_run,
            temperament=retry.UNATTENDED if unattended else retry.AT_THE_BENCH,
            turn_within=turn_within,
        )

    @contextmanager
    def _let_others_run(self) -> Iterator[None]:
        """A device that moves to another fleet may wait for days; its old certificate is renewed in the meantime.

        And a renewal that waits for its turn is in nobody's way.

        Raises:
            AlreadyRunning: a bootstrap was quicker, and has made another device of this one.
        """
        before = self.state.device()
        with self.state.unlocked(patience=self.deadline.left):
            yield
        after = self.state.device()
        renewed = kept_settings.is_same_fleet(after, before) and after.get("name") == before.get("name")
        if after != before and not renewed and not kept_settings.is_same_device(after, self.settings):
            raise AlreadyRunning(
                f"while this waited, another zymkey-iot has made this device {after.get('name')} of the fleet"
                f" {after.get('url')}.",
                cure="zymkey-iot status shows what is in use now; the same command again, if it is not what you want",
            )

    def found_open(self, **ports: DataPort) -> None:
        """Keep what was found with what has worked, so that the next run does not look for it again."""
        self.ports.update({setting: port.number for setting, port in ports.items() if port.moved})

    def candidate(self, certificate: DeviceCertificate | None, configuration: bytes | None = None) -> Candidate:
        """What would be put into use together."""
        settings = replace(self.settings, **cast(dict[str, Any], self.ports | self.urls_to_keep))
        device = kept_settings.with_former_urls(
            kept_settings.document(settings, self.key.fingerprint), self.state.device()
        )
        return Candidate(
            device=device, certificate=None if certificate is None else certificate.pem, configuration=configuration
        )


def enroll(run: Run, *, operation: str = "simpleenroll") -> est.Issued:
    """Have a certificate issued, and write it beside the certificate in use. ``operation`` is as for ``est.enroll``.

    Raises:
        DeviceError: as ``make_csr`` and ``est.enroll`` raise it, when there is no time left to try again.
        StorageError: the certificate cannot be kept.
    """
    settings, key = run.settings, run.key
    with run.report.step("request") as step:
        signatures = key.signatures
        csr = run.csr
        signed = f"signed by the {key.title()}" if key.signatures > signatures else "signed before, and kept"
        step.done = f"CSR for CN={settings.name} ({settings.sources['name']}), {signed}"

    with run.report.step("enroll") as step:
        issued = run.retried(
            lambda: run.urls.ask(lambda url: ask_for_certificate(run, url, csr, operation=operation)), within_one_try=0
        )
        certificate = issued.certificate
        run.keep_candidate(certificate)
        with suppress(StorageError):
            run.state.note_asked()
        step.done = f"certificate {certificate.certificate_id[:12]}… until {certificate.not_after:%Y-%m-%d}"
        step.facts = {"certificateId": certificate.certificate_id}
    return issued


def ask_for_certificate(run: Run, url: str, csr: bytes, *, operation: str) -> est.Issued:
    """Ask one server once; what it says is kept for the next run.

    Raises:
        DeviceError: as ``est.enroll`` raises it.
    """
    settings = run.settings
    try:
        return est.enroll(
            url,
            csr,
            name=settings.name,
            token=settings.token if url == settings.url else None,
            key=run.key,
            network=run.network,
            operation=operation,
        )
    except Queued as queued:
        # For ``status``, and for the service, which comes back at its turn after a power cut.
        run.keep_candidate(None, turn=Turn.from_document(queued.facts))
        raise
    except Pending:
        # From here on ``wait``, or a bootstrap after a power cut, needs no arguments.
        if not kept_settings.is_same(run.candidate(None).device, run.state.device()):
            run.keep_candidate(None)
        raise
    except RequestRefused:
        run.drop_request()
        raise


def configure(run: Run, *, refresh: bool, delivered: bytes | None = None) -> tuple[Configuration, bytes]:
    """The kept configuration, or the cloud's when none is kept or ``refresh`` asks for it; and its document.

    The configuration has what the settings override; the document is as the cloud sent it.

    Args:
        delivered: the document that came with a certificate in this run, so that the cloud need not be asked for it.

    Raises:
        DeviceError: as ``configuration.fetch`` raises it.
    """
    kept_document = None if refresh else run.state.configuration()
    configuration = None if kept_document is None else kept.find_configuration(run.state)
    if kept_document is not None and configuration is not None:
        return configuration.as_set(run.settings), kept_document
    with run.report.step("configure") as step:
        if delivered is None:
            fetched, document = run.retried(lambda: run.urls.ask(lambda url: cloud.fetch(url, network=run.network)))
        else:
            fetched, document = cloud.read(delivered, source=run.urls.answered), delivered
        run.urls.check_answer(fetched)
        fetched = fetched.as_set(run.settings)
        step.done = f"fleet {fetched.fleet}, data endpoint {fetched.data_endpoint}"
    return fetched, document


@contextmanager
def trial(run: Run, certificate: DeviceCertificate) -> Iterator[None]:
    """Prove a certificate. When that fails because no server was reached, the next run does not repeat the reason.

    The certificate stays beside the one in use, without the settings that this run tried for the first time.
    """
    try:
        yield
    except _REACHED:
        raise
    except DeviceError:
        candidate = run.state.candidate()
        if candidate is not None and candidate.certificate == certificate.pem:
            proved = kept_settings.proved(candidate.device, run.state.device())
            run.state.keep_candidate(replace(candidate, device=proved))
        raise


def prove_over_https(device: Device, run: Run, *, within: float) -> None:
    """Publish to the device's own topic. A new certificate or policy gets ``within`` seconds to take effect.

    Raises:
        DeviceError: as ``HttpsPublisher.publish`` raises it.
    """
    with run.report.step("publish") as step:
        publish_test_message(device, step, run, within=within)


def publish_test_message(device: Device, step: Step, run: Run, *, within: float) -> None:
    """The publish itself, inside a step that the caller has begun."""
    topic = device.configuration.test_topic(device.topic("{device}"))
    if topic is None:
        step.done = "no message: this fleet does not allow its devices to publish"
        return
    publisher = device.https(tell=run.report.note)
    retry.retry(
        lambda: publisher.publish(topic, test_message(device.settings.name)),
        give_up_after=run.deadline.left(within),
        on_wait=tell_wait(run.report),
    )
    run.found_open(https_port=publisher.port)
    step.done = f"{topic}, over mutual TLS ({publisher.how})"
    step.facts = {"topic": topic, "how": publisher.how}


def prove_over_mqtt(device: Device, run: Run, *, within: float) -> None:
    """Publish over MQTT and receive the message.

    AWS IoT answers a refusal by closing the connection, and may judge by what it knew some moments ago: thing and
    policy have their own time to become known, beside HTTPS's. So a refusal is final only when a new connection is
    refused as well, ``within`` seconds later.

    Raises:
        DeviceError: as ``MqttRoundTrip.run`` raises it.
    """
    topic = device.configuration.test_topic(device.settings.name)
    if topic is None:
        return

    def connect_anew() -> MqttRoundTrip:
        round_trip = device.mqtt(tell=run.report.note)
        round_trip.run(topic, test_message(device.settings.name))
        return round_trip

    with run.report.step("mqtt") as step:
        round_trip = retry.retry(
            connect_anew,
            give_up_after=run.deadline.left(within),
            on_wait=tell_wait(run.report),
            only=(CertificateRefused, TopicDenied),
        )
        run.found_open(mqtt_port=round_trip.port)
        step.done = f"{topic}, published and received"
        step.facts = {"topic": topic}


def test_message(name: str, event: str = "bootstrap") -> bytes:
    """A small JSON object: the device, why it publishes, and when (seconds since 1970)."""
    return json.dumps({"device": name, "event": event, "time": int(time.time())}).encode()


def keep(run: Run, certificate: DeviceCertificate, configuration: bytes) -> None:
    """Put what was proved into use: certificate, configuration, and the settings. Changes nothing that is so already.

    Args:
        configuration: its document.
    """
    proved = run.candidate(certificate, configuration)
    if run.state.in_use() == proved:
        run.drop_candidate()
        return
    with run.report.step("keep") as step:
        if run.state.certificate() is None:
            # There is none before it to be switched off.
            run.state.keep_confirmed(certificate.certificate_id)
        run.state.promote(proved)
        run.drop_candidate()
        step.done = str(run.state.certificate_path)


def tell_wait(report: Report) -> Callable[[DeviceError, float], None]:
    """For ``retry.retry``: say why it waits, and how long."""

    def tell(error: DeviceError, seconds: float) -> None:
        fresh = isinstance(error, CertificateRefused | TopicDenied)
        why = "not in effect yet: " + error.cause if fresh else error.cause
        report.note(f"{why} Again in {span(seconds)}.")

    return tell


def span(seconds: float) -> str:
    """A time to wait, for a person."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
