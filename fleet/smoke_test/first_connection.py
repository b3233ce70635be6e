"""Just-in-time registration, as the live AWS IoT does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from cryptography import x509

from fleet.deployment import Deployment
from fleet.smoke_test.connections import (
    ConnectionRefused,
    Endpoint,
    TopicRefused,
    publish_over_https,
    round_trip_over_mqtt,
)
from fleet.smoke_test.device import ThrowAwayDevice
from fleet.smoke_test.report import Report
from pki.fingerprint import certificate_id

FIRST_CONNECTION_QUESTIONS = (
    "httpsRegistersAtFirstConnection",
    "httpsAnswersWhilePending",
    "mqttRegistersAtFirstConnection",
)
_REGISTRATION_SECONDS = 15
_PENDING = "PENDING_ACTIVATION"


class FirstConnection:
    """Shows whether AWS IoT registers an unknown certificate when its device connects for the first time."""

    def __init__(
        self,
        *,
        deployment: Deployment,
        device: ThrowAwayDevice,
        report: Report,
        sign: Callable[[ThrowAwayDevice], x509.Certificate],
        ca: x509.Certificate,
    ) -> None:
        self._deployment = deployment
        self._device = device
        self._report = report
        self._sign = sign
        self._ca = ca

    def run(self) -> str:
        """Connect over HTTPS, then over MQTT; returns in words what AWS IoT did after each.

        While it connects over HTTPS, the fleet does not know the key, so that a registration stays visible as it is.
        No answer is wrong: a deployment may have this switched off, and AWS does not document what HTTPS does.
        """
        endpoint = Endpoint.of(self._deployment.api.configuration())
        certificate = self._sign(self._device)
        # Without its chain, as devices do it; the endpoint's name leads AWS IoT to the CA.
        files = self._device.save(certificate)
        self._connect(lambda: publish_over_https(endpoint, files, "first", b"{}"))
        by_https = self._status(certificate, until=lambda status: status is not None)
        self._report.observe("httpsRegistersAtFirstConnection", by_https)
        if by_https == _PENDING:
            self._report.observe("httpsAnswersWhilePending", self._https_answer(endpoint, files))
        else:
            self._report.leave_open("httpsAnswersWhilePending", f"after HTTPS the certificate is {by_https}")

        self._deployment.ledger.allow(
            self._device.name,
            fingerprint=self._device.fingerprint,
            by=self._deployment.operator,
            now=int(time.time()),
        )
        # With its chain, as the developer guide wants it.
        files = self._device.save(certificate, self._ca)
        self._connect(
            lambda: round_trip_over_mqtt(
                endpoint, files, client_id=self._device.name, topic="first", payload=b"{}", subscribe=False
            ),
        )
        by_mqtt = self._status(certificate, until=lambda status: status not in (None, _PENDING))
        self._report.observe("mqttRegistersAtFirstConnection", by_mqtt)
        return f"after HTTPS {by_https}, after MQTT {by_mqtt}"

    def _connect(self, connect: Callable[[], object]) -> None:
        # AWS IoT always drops the first connection.
        with suppress(ConnectionRefused, TopicRefused, TimeoutError):
            connect()

    def _https_answer(self, endpoint: Endpoint, files: tuple[str, str]) -> str:
        try:
            return str(publish_over_https(endpoint, files, "first", b"{}"))
        except ConnectionRefused as error:
            return f"no answer: {error}"

    def _status(self, certificate: x509.Certificate, *, until: Callable[[str | None], bool]) -> str:
        """The certificate's status in AWS IoT, as soon as it is an expected one, or when the time is over."""
        deadline = time.monotonic() + _REGISTRATION_SECONDS
        while not until(status := self._registered(certificate)) and time.monotonic() < deadline:
            time.sleep(1)
        return status or "not registered"

    def _registered(self, certificate: x509.Certificate) -> str | None:
        try:
            reply = self._deployment.iot.describe_certificate(certificateId=certificate_id(certificate))
        except self._deployment.iot.exceptions.ResourceNotFoundException:
            return None
        return reply["certificateDescription"]["status"]
