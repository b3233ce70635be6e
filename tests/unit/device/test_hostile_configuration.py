"""A configuration that means harm: most is refused where it is read, and what is not can do nothing."""

from pathlib import Path

import pytest

from device.configuration import Configuration
from device.iot_https import publish_url
from tests.support.device.authority import Authority
from tests.support.device.hostile_configurations import CONFIGURATIONS, changed
from tests.support.device.hostile_enrollment import enrolling, enrolls_with, pkcs7
from tests.support.device.hostile_replies import sampled
from tests.support.device.hostile_server import HostileServer, Visit
from tests.support.device.victim import TOKEN, Victim, attack

HARMLESS = {
    "UTF-16",
    "a fleet that climbs",
    "a topic that climbs",
    "a reserved topic",
    "the endpoint evil.invalid",
    "the endpoint 127.1",
    "the endpoint 0",
    "the endpoint 169.254.169.254",
    # A port beside httpsPort and mqttPort is left out.
    "the endpoint 169.254.169.254:80",
    "the endpoint localhost:8443",
}
"""A name is never a path, a topic never one, and whoever the endpoint is has to prove it by a certificate."""


def test_what_is_right_is_read() -> None:
    assert Configuration.from_json(changed()).data_endpoint == "localhost"


@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_it_is_refused_in_a_few_words(what: str) -> None:
    if what in HARMLESS:
        read = Configuration.from_json(CONFIGURATIONS[what])
        topic = read.test_topic("pi-7")
        assert topic is not None
        assert publish_url(read.data_endpoint, read.https_port, topic).isascii()
        return
    with pytest.raises(ValueError, match=r"^something that is ") as refused:
        Configuration.from_json(CONFIGURATIONS[what])
    assert len(str(refused.value)) < 200
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("what", sampled(CONFIGURATIONS, every=9))
def test_a_device_that_is_sent_it_is_unharmed(
    victim: Victim, authority: Authority, hostile: HostileServer, what: str
) -> None:
    hostile.script = enrolls_with(pkcs7(enrolling(victim, authority)), configuration=CONFIGURATIONS[what])
    attack(victim, hostile, 4, 5, 8, 9, requests=2)
    assert victim.run("renew", "--if-due").code == 13
    assert victim.run("publish", "devices/{device}/t", "1").code == 0


def test_the_token_does_not_reach_the_data_endpoint(
    victim: Victim, authority: Authority, hostile: HostileServer, pki: Path
) -> None:
    came: list[bytes] = []

    def listen(visit: Visit) -> None:
        visit.secure()
        came.append(visit.request())

    with HostileServer(pki / "localhost.pem", listen) as elsewhere:
        hostile.script = enrolls_with(
            pkcs7(enrolling(victim, authority)), configuration=changed(httpsPort=elsewhere.port)
        )
        attack(victim, hostile, 9, requests=2)
    (request,) = came
    assert request.startswith(b"POST /topics/devices/pi-7/bootstrap?qos=1 HTTP/1.1\r\n")
    assert TOKEN.encode() not in request
    assert b"authorization" not in request.lower()
