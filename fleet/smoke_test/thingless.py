"""A certificate that is attached to no thing: may it connect over MQTT, and does shutting it out harm HTTPS?

AWS's documents say that the thing's name, type and attributes do not exist over HTTPS, and nothing of ``IsAttached``.
The setting ``mqttWithoutThing`` denies devices for which it is false: with ``deny`` all of them, with ``try`` only the
device of this test. Where such a device is refused over MQTT, and may publish over HTTPS, ``deny`` is safe.
"""

from __future__ import annotations

import time
from dataclasses import replace

from fleet.deployment import Deployment
from fleet.smoke_test import settling
from fleet.smoke_test.connections import (
    ConnectionRefused,
    TopicRefused,
    publish_over_https,
    round_trip_over_mqtt,
)
from fleet.smoke_test.device import ThrowAwayDevice
from fleet.smoke_test.enrollment import Enrollment, Sign
from fleet.smoke_test.report import Report, StepFailed
from fleet.smoke_test.settling import until_settled
from fleet.smoke_test.steps import Enrolled, payload
from fleet.smoke_test.topics import both_ways, https_name, topic_of
from pki.fingerprint import certificate_id

CONNECTS, REFUSED = "connects", "refused"
_CAN_BE_DENIED = "mqttWithoutThingCanBeDenied"
_NOT_YET = "a new version of the IoT policy takes up to ten minutes: run `zymkey-fleet verify` again after that"


def another_device(like: Enrolled, device: ThrowAwayDevice, deployment: Deployment, sign: Sign) -> Enrolled:
    """Enroll the device that ``try`` applies to, and wait until its thing and its policy are known.

    Raises:
        StepFailed: it got no certificate, or cannot connect with its thing.
    """
    certificate = Enrollment(deployment=deployment, device=device, sign=sign).run()
    enrolled = replace(like, device=device, certificate=certificate, files=device.save(certificate))
    until_settled(lambda: _round_trip(enrolled))
    return enrolled


def _round_trip(enrolled: Enrolled) -> None:
    """As the thing; subscribing, where the fleet has a topic for that, is for attached things alone."""
    topics = enrolled.configuration["topics"]
    both = both_ways(topics)
    round_trip_over_mqtt(
        enrolled.endpoint,
        enrolled.files,
        client_id=enrolled.device.name,
        topic=topic_of(both or topics["publish"], enrolled.device.name),
        payload=payload(),
        subscribe=bool(both),
    )


class WithoutThing:
    """Takes its thing from a throw-away device. Nothing else can be asked of the device afterwards."""

    def __init__(self, *, deployment: Deployment, enrolled: Enrolled, report: Report) -> None:
        self._deployment = deployment
        self._enrolled = enrolled
        self._report = report
        self._setting = deployment.outputs.mqtt_without_thing
        self._tells_apart = bool(both_ways(enrolled.configuration["topics"]))

    def run(self) -> str:
        """Returns what happened, in words.

        Calls iot:DescribeCertificate, DetachThingPrincipal.

        Raises:
            StepFailed: the deployment denies it, and the device connects.
        """
        self._detach()
        outcome = self._over_mqtt()
        self._report.observe("mqttWithoutThing", outcome)
        if self._setting == "allow":
            self._report.leave_open(_CAN_BE_DENIED, "the setting mqttWithoutThing is allow; to find out, deploy try")
        elif outcome == CONNECTS:
            self._report.leave_open(_CAN_BE_DENIED, _NOT_YET)
            if self._setting == "deny":
                raise StepFailed(f"the setting is deny, and the device connects; {_NOT_YET}")
        elif self._setting == "try" and https_name(self._enrolled.certificate) != self._enrolled.device.name:
            self._report.leave_open(_CAN_BE_DENIED, "the try is not about a certificate without a common name")
        else:
            self._report.ask(_CAN_BE_DENIED, self._publishes_over_https)
        return f"{outcome} over MQTT; the setting mqttWithoutThing is {self._setting}"

    def _detach(self) -> None:
        iot, certificate = self._deployment.iot, certificate_id(self._enrolled.certificate)
        arn = iot.describe_certificate(certificateId=certificate)["certificateDescription"]["certificateArn"]
        iot.detach_thing_principal(thingName=self._enrolled.device.name, principal=arn)

    def _over_mqtt(self) -> str:
        """Connect under the common name, until AWS IoT knows that the thing is detached.

        It knows that when it refuses the subscription, which is for attached things alone. Where there is none to try,
        the last answer counts, or any where the setting allows it either way.
        """
        deadline = time.monotonic() + settling.SETTLES_SECONDS
        while True:
            try:
                _round_trip(self._enrolled)
            except ConnectionRefused:
                return REFUSED
            except TopicRefused:
                # With a Deny that is about to be known, the connection will be refused as well.
                if self._setting == "allow" or time.monotonic() > deadline:
                    return CONNECTS
            except TimeoutError as error:
                if time.monotonic() > deadline:
                    raise StepFailed(str(error)) from None
            else:
                if time.monotonic() > deadline or (self._setting == "allow" and not self._tells_apart):
                    return CONNECTS
            time.sleep(settling.PAUSE_SECONDS)

    def _publishes_over_https(self) -> bool | str:
        try:
            answer = publish_over_https(
                self._enrolled.endpoint, self._enrolled.files, self._enrolled.https_topic, payload()
            )
        except ConnectionRefused as error:
            return f"no answer: {error}"
        return {200: True, 401: False, 403: False}.get(answer.status, str(answer))
