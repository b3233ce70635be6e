"""What the smoke test tries, in order."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cryptography import x509

from fleet.deployment import Deployment
from fleet.enrollment_api import EnrollmentApi
from fleet.errors import FleetError
from fleet.failures import explained
from fleet.smoke_test.connections import (
    Endpoint,
    HttpsAnswer,
    TopicRefused,
    publish_over_https,
    round_trip_over_mqtt,
)
from fleet.smoke_test.device import PREFIX, ThrowAwayDevice
from fleet.smoke_test.enrollment import Enrollment, Sign, show
from fleet.smoke_test.reach import ca_items
from fleet.smoke_test.report import Report, StepFailed
from fleet.smoke_test.settling import until_settled
from fleet.smoke_test.topics import both_ways, https_name, topic_of
from pki.issuers import AMAZON
from pki.received_certificate import CertificateError, subject_of

_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """A throw-away device that has its certificate, and where it connects.

    ``files`` are those of its certificate and key.
    """

    device: ThrowAwayDevice
    certificate: x509.Certificate
    files: tuple[str, str]
    configuration: dict[str, Any]
    endpoint: Endpoint

    @property
    def https_topic(self) -> str:
        """A topic that it may publish to over HTTPS."""
        return topic_of(self.configuration["topics"]["publish"], https_name(self.certificate))


class SmokeTest:
    """The way of one throw-away device. Each method is a step; ``run`` says which step needs which."""

    def __init__(self, *, deployment: Deployment, device: ThrowAwayDevice, report: Report, sign: Sign) -> None:
        self._deployment = deployment
        self._device = device
        self._report = report
        self._enrollment = Enrollment(deployment=deployment, device=device, sign=sign)
        self._enrolled_at = 0.0

    def run(self) -> Enrolled | None:
        """Returns the device, for questions that need one; None when it got no certificate."""
        configuration = self._try("configuration", self._read_configuration)
        if configuration is None:
            return None
        self._report.ask("writeOfACaInTheLedger", lambda: ca_items(self._deployment))
        self._try("refused-without-invitation", self._is_refused_without_invitation)
        certificate = self._try("enroll", self._enroll)
        if certificate is None:
            return None
        self._try("same-certificate-again", lambda: self._gets_the_same_again(certificate))
        endpoint = Endpoint.of(configuration)
        files = self._device.save(certificate)
        enrolled = Enrolled(
            device=self._device,
            certificate=certificate,
            files=files,
            configuration=configuration,
            endpoint=endpoint,
        )
        own = enrolled.https_topic
        self._try("https-publish", lambda: self._publishes(endpoint, files, own))
        others = topic_of(configuration["topics"]["publish"], f"{PREFIX}another")
        if others != own:
            self._try("https-refused-elsewhere", lambda: self._is_refused(endpoint, files, others))
        else:
            self._report.leave_open("httpsRefusal", "this fleet's devices share their topics")
        self._try("mqtt-round-trip", lambda: self._round_trip(endpoint, files, configuration["topics"]))
        if others != own:
            self._try("mqtt-refused-elsewhere", lambda: self._is_disconnected(endpoint, files, others))
        return enrolled

    def _try(self, name: str, step: Callable[[], tuple[_Result, str]]) -> _Result | None:
        """Run a step; returns its result, or None when it failed."""
        with self._report.step(name) as written:
            try:
                with explained():
                    found, written.detail = step()
            except FleetError as error:
                raise StepFailed(error.in_one_line) from None
            except CertificateError as error:
                raise StepFailed(str(error)) from None
            return found
        return None

    def _read_configuration(self) -> tuple[dict[str, Any], str]:
        configuration = self._deployment.api.configuration()
        told, expected = configuration.get("enrollmentUrl"), self._deployment.announced_url
        if told != expected:
            raise StepFailed(f"devices are told the enrollment URL {told}, and the stack's outputs say {expected}")
        if expected is not None:
            self._report.observe("apiUrlAnswersToo", self._api_url_answers(configuration))
        else:
            self._report.leave_open("apiUrlAnswersToo", "the deployment has no domain")
        return configuration, f"issuer {configuration['issuer']}, data endpoint {configuration['dataEndpoint']}"

    def _api_url_answers(self, configuration: dict[str, Any]) -> bool | str:
        """Whether the API's own address, which devices of before the domain know, answers as the domain does."""
        try:
            return EnrollmentApi(self._deployment.outputs.api_url).configuration() == configuration
        except FleetError as error:
            return error.in_one_line

    def _is_refused_without_invitation(self) -> tuple[bool, str]:
        reply = self._enrollment.without_invitation()
        challenge = next((name for name in reply.headers if name.lower().endswith("www-authenticate")), None)
        self._report.observe("wwwAuthenticateArrivesAs", challenge)
        if reply.status_code != 401:
            raise StepFailed(f"expected 401, got {show(reply)}")
        return True, f"401, challenge in the header {challenge}"

    def _enroll(self) -> tuple[x509.Certificate, str]:
        certificate = self._enrollment.run()
        self._enrolled_at = time.monotonic()
        subject = subject_of(certificate)
        self._report.observe("certificateSubject", subject)
        if self._deployment.outputs.issuer == AMAZON:
            self._report.observe("csrSubjectIsKept", https_name(certificate) == self._device.name)
            self._report.observe("csrWholeSubjectIsKept", certificate.subject == self._device.subject)
        else:
            for question in ("csrSubjectIsKept", "csrWholeSubjectIsKept"):
                self._report.leave_open(question, f"the issuer is {self._deployment.outputs.issuer}")
        return certificate, f"{subject}, valid until {certificate.not_valid_after_utc:%Y-%m-%d}"

    def _gets_the_same_again(self, certificate: x509.Certificate) -> tuple[bool, str]:
        if self._enrollment.again() != [certificate]:
            raise StepFailed("another certificate was issued to the same key")
        return True, "byte for byte"

    def _publishes(self, endpoint: Endpoint, files: tuple[str, str], topic: str) -> tuple[bool, str]:
        def publish() -> HttpsAnswer:
            answer = publish_over_https(endpoint, files, topic, payload())
            if answer.status != 200:
                raise StepFailed(f"{topic}: {answer}")
            return answer

        until_settled(publish)
        self._report.observe("httpsAcceptedWithinSeconds", self._seconds())
        return True, f"200 on {topic}"

    def _is_refused(self, endpoint: Endpoint, files: tuple[str, str], topic: str) -> tuple[bool, str]:
        try:
            answer = until_settled(lambda: publish_over_https(endpoint, files, topic, payload()))
        except StepFailed as error:
            raise StepFailed(f"expected a refusal, but the connection ended without an answer: {error}") from None
        self._report.observe("httpsRefusal", str(answer))
        if answer.status not in (401, 403):
            raise StepFailed(f"{topic}: expected 403, got {answer}")
        return True, str(answer)

    def _round_trip(self, endpoint: Endpoint, files: tuple[str, str], topics: dict[str, list[str]]) -> tuple[bool, str]:
        """Over MQTT a device is known by its thing, whatever its certificate says: the topic has the thing's name."""
        both = both_ways(topics)
        topic = topic_of(both or topics["publish"], self._device.name)
        try:
            until_settled(lambda: self._mqtt(endpoint, files, topic, subscribe=bool(both)))
        except StepFailed as error:
            raise StepFailed(f"{topic}: {error}") from None
        self._report.observe("mqttAcceptedWithinSeconds", self._seconds())
        return True, f"{'published and received' if both else 'published'} on {topic}"

    def _is_disconnected(self, endpoint: Endpoint, files: tuple[str, str], topic: str) -> tuple[bool, str]:
        def is_refused() -> bool:
            try:
                self._mqtt(endpoint, files, topic, subscribe=False)
            except TopicRefused:
                return True
            return False

        try:
            refused = until_settled(is_refused)
        except StepFailed as error:
            raise StepFailed(f"{topic}: expected the connection to end after the publish, but: {error}") from None
        if not refused:
            raise StepFailed(f"{topic}: a device could publish on the topic of another device")
        return True, f"{topic}: the connection was closed"

    def _mqtt(self, endpoint: Endpoint, files: tuple[str, str], topic: str, *, subscribe: bool) -> None:
        round_trip_over_mqtt(
            endpoint, files, client_id=self._device.name, topic=topic, payload=payload(), subscribe=subscribe
        )

    def _seconds(self) -> float:
        """Since the device has its certificate. Other steps are in it, so the true value may be smaller."""
        return round(time.monotonic() - self._enrolled_at, 1)


def payload() -> bytes:
    """A message that no other has."""
    return f'{{"verify": "{secrets.token_hex(8)}"}}'.encode()
