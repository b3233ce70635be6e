"""What doctor tells apart beyond the commonest faults: policies, clocks, names, and what is in the way of a check."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.diagnosis import Diagnose
from tests.support.device.est_server import EstServer
from tests.support.device.pi import Pi
from tests.support.device.topic_broker import TopicBroker


@pytest.fixture
def broker(pki: Path, est: EstServer) -> Iterator[TopicBroker]:
    with TopicBroker(pki / "localhost.pem", pki / "ca.pem") as server:
        est.configuration["mqttPort"] = server.port
        yield server


@pytest.fixture
def enrolled(pi: Pi) -> Pi:
    assert pi.run("bootstrap").returncode == 0
    return pi


@pytest.mark.parametrize(
    ("denial", "text", "cure"),
    [
        ("drop connect", "no policy", "attach-policy"),
        ("refuse connect", "no policy", "attach-policy"),
        ("drop subscribe", "a policy is attached", "cdk.json"),
        ("refuse subscribe", "a policy is attached", "cdk.json"),
        ("", "It can publish over MQTT", "common name or id"),
    ],
)
def test_a_denied_topic_is_told_apart_over_mqtt(
    broker: TopicBroker, enrolled: Pi, endpoint: DataEndpoint, diagnose: Diagnose, denial: str, text: str, cure: str
) -> None:
    endpoint.allowed = "elsewhere/"
    broker.denial = denial

    found = diagnose()

    assert (found.status("certificate-accepted"), found.status("publish")) == ("ok", "failed")
    assert (text in found.text("publish"), cure in found.cure("publish")) == (True, True), found.checks["publish"]


def test_a_fleet_whose_devices_may_publish_nothing_is_in_order(
    broker: TopicBroker, est: EstServer, pi: Pi, diagnose: Diagnose
) -> None:
    est.configuration["topics"] = {"publish": [], "subscribe": []}
    assert pi.run("bootstrap").returncode == 0
    assert diagnose().status("publish") == "skipped"


def test_a_clock_that_is_years_wrong_is_where_to_begin_and_nothing_is_verified_with_it(
    enrolled: Pi, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_years = "Sat, 01 Jan 2050 00:00:00 GMT"
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: in_years)

    found = diagnose()

    assert (found.status("clock"), "years slow" in found.text("clock")) == ("failed", True)
    assert "timedatectl set-ntp true" in found.cure("clock")
    assert found.status("enrollment-server") == "skipped"


def test_a_server_without_a_clock_tells_no_time(
    enrolled: Pi, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: "today")
    assert diagnose("--only", "clock").status("clock") == "skipped"


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", "ok"), ("no-such-host.invalid", "failed")])
def test_an_endpoint_by_name_or_by_address(enrolled: Pi, diagnose: Diagnose, host: str, status: str) -> None:
    found = diagnose("--endpoint", host, "--only", "endpoint-dns")
    assert found.status("endpoint-dns") == status
    if status == "ok":
        assert "needs no DNS" in found.text("endpoint-dns")


def test_a_server_that_certifi_does_not_trust_is_named_by_its_issuer(pi: Pi, diagnose: Diagnose) -> None:
    del pi.environment["CA_BUNDLE"]
    found = diagnose("--only", "enrollment-server")
    assert (found.status("enrollment-server"), "loopback CA" in found.text("enrollment-server")) == ("failed", True)


def test_without_the_engine_there_is_no_key_behind_it(pi: Pi, diagnose: Diagnose) -> None:
    pi.environment["ZYMKEY_IOT_KEY"] = "engine:no-such-engine"
    found = diagnose()
    assert (found.status("openssl-engine"), found.status("library")) == ("failed", "skipped")
    assert (found.status("curl-engine"), found.status("certificate-accepted")) == ("skipped", "skipped")


def test_a_key_that_is_no_uri_is_the_settings_fault_and_not_the_hsms(pi: Pi, diagnose: Diagnose) -> None:
    pi.environment["ZYMKEY_IOT_KEY"] = "zymkey:slot=many"
    found = diagnose("--only", "library")
    assert (found.code, found.status("library")) == (2, "failed")


@pytest.mark.parametrize("ways", ["auto", "curl"])
def test_a_device_that_has_no_curl_publishes_without_it_unless_its_settings_say_curl(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, diagnose: Diagnose, tmp_path: Path, ways: str
) -> None:
    openssl = tmp_path / "openssl"
    openssl.symlink_to("/usr/bin/openssl")
    found = diagnose("--only", "curl-engine", ZYMKEY_IOT_TLS=ways, PATH=str(tmp_path))
    assert found.status("curl-engine") == ("warning" if ways == "auto" else "failed")
    assert "sudo apt install curl" in found.cure("curl-engine")
