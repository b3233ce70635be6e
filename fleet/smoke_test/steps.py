"""What the smoke test tries, in order."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.deployment import Deployment
from fleet.enrollment_api import TRY_AGAIN, EnrollmentApi, read_certificates
from fleet.errors import FleetError
from fleet.failures import explained
from fleet.https import Reply
from fleet.smoke_test.connections import (
    ConnectionRefused,
    Endpoint,
    HttpsAnswer,
    TopicRefused,
    publish_over_https,
    round_trip_over_mqtt,
)
from fleet.smoke_test.device import PREFIX, ThrowAwayDevice
from fleet.smoke_test.reach import ca_items
from fleet.smoke_test.report import Report, StepFailed
from ledger.token import token_hash
from pki.fingerprint import certificate_id
from pki.issuers import AMAZON, EXTERNAL
from pki.names import common_names
from pki.received_certificate import CertificateError, read_certificate, subject_of

ENROLL = "/.well-known/est/simpleenroll"
_INVITATION_SECONDS = 600
# A new certificate or policy takes a moment to be known everywhere in AWS IoT.
_SETTLES_SECONDS = 60

# How the external CA signs for a device; None when its key is not given.
Sign = Callable[[ThrowAwayDevice], x509.Certificate] | None

_Result = TypeVar("_Result")


class SmokeTest:
    """The way of one throw-away device. Each method is a step; ``run`` says which step needs which."""

    def __init__(self, *, deployment: Deployment, device: ThrowAwayDevice, report: Report, sign: Sign) -> None:
        self._deployment = deployment
        self._device = device
        self._report = report
        self._sign = sign
        self._token = secrets.token_urlsafe(32)

    def run(self) -> None:
        configuration = self._try("configuration", self._read_configuration)
        if configuration is None:
            return
        self._report.observe("writeOfACaInTheLedger", ca_items(self._deployment))
        self._try("refused-without-invitation", self._is_refused_without_invitation)
        certificate = self._try("enroll", self._enroll)
        if certificate is None:
            return
        self._try("same-certificate-again", lambda: self._gets_the_same_again(certificate))
        endpoint = Endpoint.of(configuration)
        files = self._device.save(certificate)
        own = _topic(configuration["topics"]["publish"], _https_name(certificate))
        self._try("https-publish", lambda: self._publishes(endpoint, files, own))
        others = _topic(configuration["topics"]["publish"], f"{PREFIX}another")
        if others != own:
            self._try("https-refused-elsewhere", lambda: self._is_refused(endpoint, files, others))
        self._try("mqtt-round-trip", lambda: self._round_trip(endpoint, files, configuration["topics"]))
        if others != own:
            self._try("mqtt-refused-elsewhere", lambda: self._is_disconnected(endpoint, files, others))

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
        return configuration, f"issuer {configuration['issuer']}, data endpoint {configuration['dataEndpoint']}"

    def _api_url_answers(self, configuration: dict[str, Any]) -> bool | str:
        """Whether the API's own address, which devices of before the domain know, answers as the domain does."""
        try:
            return EnrollmentApi(self._deployment.outputs.api_url).configuration() == configuration
        except FleetError as error:
            return error.in_one_line

    def _is_refused_without_invitation(self) -> tuple[bool, str]:
        """With an invented token: without one, ``uninvited: approve`` would hold the key for approval."""
        reply = self._post_csr(secrets.token_urlsafe(32))
        challenge = next((name for name in reply.headers if name.lower().endswith("www-authenticate")), None)
        self._report.observe("wwwAuthenticateArrivesAs", challenge)
        if reply.status_code != 401:
            raise StepFailed(f"expected 401, got {_show(reply)}")
        return True, f"401, challenge in the header {challenge}"

    def _enroll(self) -> tuple[x509.Certificate, str]:
        now = int(time.time())
        self._deployment.ledger.invite(
            self._device.name,
            token_hash=token_hash(self._token),
            token_expires=now + _INVITATION_SECONDS,
            by=self._deployment.operator,
            now=now,
        )
        reply = self._wait_for_answer()
        if reply.status_code == 202 and self._deployment.outputs.issuer == EXTERNAL:
            if self._sign is None:
                raise StepFailed("the CSR waits for its signature: give --ca-cert and --ca-key")
            self._deployment.api.upload(self._sign(self._device))
            reply = self._wait_for_answer()
        if reply.status_code != 200:
            raise StepFailed(f"expected 200, got {_show(reply)}")
        certificates = read_certificates(reply)
        if len(certificates) != 1:
            raise StepFailed(f"expected one certificate, got {len(certificates)}")
        (certificate,) = certificates
        if read_certificate(certificate.public_bytes(Encoding.DER)).fingerprint != self._device.fingerprint:
            raise StepFailed("the certificate is for another key")
        subject = subject_of(certificate)
        self._report.observe("certificateSubject", subject)
        if self._deployment.outputs.issuer == AMAZON:
            self._report.observe("csrSubjectIsKept", _https_name(certificate) == self._device.name)
        return certificate, f"{subject}, valid until {certificate.not_valid_after_utc:%Y-%m-%d}"

    def _gets_the_same_again(self, certificate: x509.Certificate) -> tuple[bool, str]:
        reply = self._wait_for_answer()
        if reply.status_code != 200:
            raise StepFailed(f"expected 200, got {_show(reply)}")
        if read_certificates(reply) != [certificate]:
            raise StepFailed("another certificate was issued to the same key")
        return True, "byte for byte"

    def _publishes(self, endpoint: Endpoint, files: tuple[str, str], topic: str) -> tuple[bool, str]:
        def publish() -> HttpsAnswer:
            answer = publish_over_https(endpoint, files, topic, self._payload())
            if answer.status != 200:
                raise StepFailed(f"{topic}: {answer}")
            return answer

        _until_settled(publish)
        return True, f"200 on {topic}"

    def _is_refused(self, endpoint: Endpoint, files: tuple[str, str], topic: str) -> tuple[bool, str]:
        try:
            answer = publish_over_https(endpoint, files, topic, self._payload())
        except ConnectionRefused as error:
            raise StepFailed(f"expected a refusal, but the connection ended without an answer: {error}") from None
        self._report.observe("httpsRefusal", str(answer))
        if answer.status not in (401, 403):
            raise StepFailed(f"{topic}: expected 403, got {answer}")
        return True, str(answer)

    def _round_trip(self, endpoint: Endpoint, files: tuple[str, str], topics: dict[str, list[str]]) -> tuple[bool, str]:
        """Over MQTT a device is known by its thing, whatever its certificate says: the topic has the thing's name."""
        both = [each for each in topics["publish"] if each in topics["subscribe"]]
        topic = _topic(both or topics["publish"], self._device.name)
        try:
            _until_settled(lambda: self._mqtt(endpoint, files, topic, subscribe=bool(both)))
        except (TopicRefused, TimeoutError) as error:
            raise StepFailed(f"{topic}: {error}") from None
        return True, f"{'published and received' if both else 'published'} on {topic}"

    def _is_disconnected(self, endpoint: Endpoint, files: tuple[str, str], topic: str) -> tuple[bool, str]:
        try:
            self._mqtt(endpoint, files, topic, subscribe=False)
        except TopicRefused:
            return True, f"{topic}: the connection was closed"
        except (ConnectionRefused, TimeoutError) as error:
            raise StepFailed(f"{topic}: expected the connection to end after the publish, but: {error}") from None
        raise StepFailed(f"{topic}: a device could publish on the topic of another device")

    def _mqtt(self, endpoint: Endpoint, files: tuple[str, str], topic: str, *, subscribe: bool) -> None:
        round_trip_over_mqtt(
            endpoint, files, client_id=self._device.name, topic=topic, payload=self._payload(), subscribe=subscribe
        )

    def _payload(self) -> bytes:
        return f'{{"verify": "{secrets.token_hex(8)}"}}'.encode()

    def _post_csr(self, token: str) -> Reply:
        return self._deployment.api.send(
            "POST",
            ENROLL,
            data=self._device.csr(),
            auth=(self._device.name, token),
            headers={"Content-Type": "application/pkcs10"},
        )

    def _wait_for_answer(self) -> Reply:
        """Ask until the answer is neither "busy" nor "throttled"; a CSR that waits for a signature is an answer too."""
        deadline = time.monotonic() + _SETTLES_SECONDS
        while True:
            reply = self._post_csr(self._token)
            is_queued = self._deployment.outputs.issuer == EXTERNAL and self._is_queued()
            if reply.status_code not in TRY_AGAIN or is_queued or time.monotonic() > deadline:
                return reply
            time.sleep(2)

    def _is_queued(self) -> bool:
        device = self._deployment.ledger.device(self._device.name)
        return device is not None and device.csr is not None


def _https_name(certificate: x509.Certificate) -> str:
    """The value of ``{device}`` over HTTPS: the common name or, without one, the certificate's id."""
    names = common_names(certificate.subject)
    return names[0] if names else certificate_id(certificate)


def _topic(templates: list[str], name: str) -> str:
    """A topic of this device; one with the device's name, if there is one."""
    template = next((each for each in templates if "{device}" in each), templates[0])
    return template.replace("{device}", name).replace("*", "verify")


def _until_settled(attempt: Callable[[], _Result]) -> _Result:
    """Try until it succeeds or the time is over: what is new is not known everywhere at once."""
    deadline = time.monotonic() + _SETTLES_SECONDS
    while True:
        try:
            return attempt()
        except (ConnectionRefused, StepFailed) as error:
            if time.monotonic() > deadline:
                raise StepFailed(str(error)) from None
            time.sleep(2)


def _show(reply: Reply) -> str:
    return f"{reply.status_code} {' '.join(reply.text.split())[:300]}"
