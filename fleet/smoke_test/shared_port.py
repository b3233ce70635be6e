"""Port 443, where AWS IoT tells HTTPS and MQTT apart by ALPN: the way out of networks that keep other ports closed.

AWS IoT Developer Guide, "Device communication protocols": x-amzn-http-ca and x-amzn-mqtt-ca.
"""

from __future__ import annotations

from dataclasses import replace

from fleet.smoke_test.connections import (
    ConnectionRefused,
    TopicRefused,
    publish_over_https,
    round_trip_over_mqtt,
)
from fleet.smoke_test.report import Report
from fleet.smoke_test.steps import Enrolled, payload
from fleet.smoke_test.topics import topic_of

_PORT = 443
_HTTPS_PROTOCOL, _MQTT_PROTOCOL = "x-amzn-http-ca", "x-amzn-mqtt-ca"


def ask_at_443(enrolled: Enrolled, report: Report) -> None:
    """Publish there both ways. A network on the way may be the reason why it does not work, so nothing fails."""
    report.ask("httpsOverPort443", lambda: _over_https(enrolled))
    report.ask("mqttOverPort443", lambda: _over_mqtt(enrolled))


def _over_https(enrolled: Enrolled) -> str:
    endpoint = replace(enrolled.endpoint, https_port=_PORT, protocol=_HTTPS_PROTOCOL)
    try:
        answer = publish_over_https(endpoint, enrolled.files, enrolled.https_topic, payload())
    except ConnectionRefused as error:
        return f"no answer: {error}"
    return "works" if answer.status == 200 else str(answer)


def _over_mqtt(enrolled: Enrolled) -> str:
    endpoint = replace(enrolled.endpoint, mqtt_port=_PORT, protocol=_MQTT_PROTOCOL)
    name = enrolled.device.name
    try:
        round_trip_over_mqtt(
            endpoint,
            enrolled.files,
            client_id=name,
            topic=topic_of(enrolled.configuration["topics"]["publish"], name),
            payload=payload(),
            subscribe=False,
        )
    except (ConnectionRefused, TopicRefused, TimeoutError) as error:
        return f"no answer: {error}"
    return "works"
