"""``verify`` says whether HTTPS registers an unknown certificate, or MQTT: asked of a world for each answer."""

from types import SimpleNamespace

import pytest

from fleet.smoke_test import first_connection
from fleet.smoke_test.first_connection import FirstConnection
from pki.fingerprint import certificate_id
from tests.support.device.mqtt_broker import MqttBroker
from tests.support.fleet.worlds import aws_iot, der

__all__ = ["aws_iot"]


@pytest.fixture
def first(aws_iot, monkeypatch):
    """A device of the external CA that AWS IoT has not met, and which of the two registers it."""
    monkeypatch.setattr(first_connection, "_REGISTRATION_SECONDS", 0.3)
    monkeypatch.setattr(first_connection.time, "sleep", lambda _: None)
    known = aws_iot.https.known = set()
    allowed = []
    certificate = aws_iot.certificate()

    def registered(status):
        def register(_):
            aws_iot.iot.statuses[certificate_id(certificate)] = status

        return register

    with MqttBroker(aws_iot.folder / "localhost.pem", aws_iot.folder / "ca.pem", known) as broker:
        configuration = {
            "dataEndpoint": "localhost",
            "httpsPort": aws_iot.https.port,
            "mqttPort": broker.port,
            "topics": aws_iot.topics,
        }
        monkeypatch.setenv("CA_BUNDLE", aws_iot.roots)
        for variable in ("IOT_ENDPOINT", "IOT_HTTPS_PORT", "IOT_MQTT_PORT"):
            monkeypatch.delenv(variable, raising=False)
        deployment = SimpleNamespace(
            iot=aws_iot.iot,
            api=SimpleNamespace(configuration=lambda: configuration),
            ledger=SimpleNamespace(allow=lambda *_, **__: allowed.append(dict(aws_iot.iot.statuses))),
            operator="alice",
        )

        def run(*, https=None, mqtt=None, while_pending=403):
            if https is not None:
                aws_iot.https.on_first_connection = registered(https)
                if while_pending is None:
                    monkeypatch.setattr(aws_iot.https, "pending", _Never())
            if mqtt is not None:
                broker.on_first_connection = registered(mqtt)
            FirstConnection(
                deployment=deployment,
                device=aws_iot.device,
                report=aws_iot.report,
                sign=lambda _: certificate,
                ca=aws_iot.authority.certificate,
            ).run()
            return aws_iot.report

        yield SimpleNamespace(run=run, allowed=allowed, known=known, der=der(certificate))


class _Never(set):
    """Of a certificate that is not active, no request is answered."""

    def __contains__(self, _):
        return False


def test_https_registers_and_answers_403_while_the_certificate_is_pending(first):
    report = first.run(https="PENDING_ACTIVATION", mqtt="ACTIVE")
    assert report.observations["httpsRegistersAtFirstConnection"] == "PENDING_ACTIVATION"
    assert report.observations["httpsAnswersWhilePending"].startswith("HTTP 403 ForbiddenException:")
    assert report.observations["mqttRegistersAtFirstConnection"] == "ACTIVE"
    # While it connected over HTTPS, the fleet did not know it.
    assert list(first.allowed[0].values()) == ["PENDING_ACTIVATION"]


def test_https_registers_and_says_nothing_while_the_certificate_is_pending(first):
    report = first.run(https="PENDING_ACTIVATION", mqtt="ACTIVE", while_pending=None)
    assert report.observations["httpsAnswersWhilePending"].startswith("no answer: ")


def test_https_registers_nothing_and_mqtt_does(first):
    report = first.run(mqtt="ACTIVE")
    assert report.observations["httpsRegistersAtFirstConnection"] == "not registered"
    assert report.open["httpsAnswersWhilePending"] == "after HTTPS the certificate is not registered"
    assert report.observations["mqttRegistersAtFirstConnection"] == "ACTIVE"


@pytest.mark.parametrize(("mqtt", "said"), [(None, "not registered"), ("PENDING_ACTIVATION", "PENDING_ACTIVATION")])
def test_mqtt_registers_nothing_or_nobody_activates(first, mqtt, said):
    report = first.run(mqtt=mqtt)
    assert report.observations["mqttRegistersAtFirstConnection"] == said
