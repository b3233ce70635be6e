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

_REGISTRATION_SECONDS = 15


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

        No answer is wrong: a deployment may have this switched off, and AWS does not document what HTTPS does.
        """
        endpoint = Endpoint.of(self._deployment.api.configuration())
        self._deployment.ledger.allow(
            self._device.name,
            fingerprint=self._device.fingerprint,
            by=self._deployment.operator,
            now=int(time.time()),
        )
        certificate = self._sign(self._device)
        # With its chain, as just-in-time registration wants it (AWS IoT Developer Guide).
        files = self._device.save(certificate, self._ca)
        by_https = self._registers(certificate, lambda: publish_over_https(endpoint, files, "first", b"{}"))
        self._report.observe("httpsRegistersAtFirstConnection", by_https)
        by_mqtt = self._registers(
            certificate,
            lambda: round_trip_over_mqtt(
                endpoint, files, client_id=self._device.name, topic="first", payload=b"{}", subscribe=False
            ),
        )
        self._report.observe("mqttRegistersAtFirstConnection", by_mqtt)
        return f"after HTTPS {by_https}, after MQTT {by_mqtt}"

    def _registers(self, certificate: x509.Certificate, connect: Callable[[], object]) -> str:
        """The certificate's status in AWS IoT soon after a connection."""
        if (already := self._status(certificate)) is not None:
            return f"{already} before"
        # AWS IoT always drops the first connection.
        with suppress(ConnectionRefused, TopicRefused, TimeoutError):
            connect()
        deadline = time.monotonic() + _REGISTRATION_SECONDS
        while (status := self._status(certificate)) in (None, "PENDING_ACTIVATION") and time.monotonic() < deadline:
            time.sleep(1)
        return status or "not registered"

    def _status(self, certificate: x509.Certificate) -> str | None:
        try:
            reply = self._deployment.iot.describe_certificate(certificateId=certificate_id(certificate))
        except self._deployment.iot.exceptions.ResourceNotFoundException:
            return None
        return reply["certificateDescription"]["status"]
