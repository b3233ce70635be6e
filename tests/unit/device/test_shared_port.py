"""Port 443 with ALPN: chosen by a setting, or by itself where a network keeps 8443 and 8883 closed."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device import curl_publish, explain, shared_port
from device.clients import curl
from device.doctor.checks import servers
from device.errors import (
    CertificateRefused,
    DeviceError,
    HungUp,
    NetworkError,
    NoAnswer,
    NoRoute,
    PortClosed,
    ProxyFailed,
    TopicDenied,
)
from device.identity import this_device
from device.shared_port import HTTPS, MQTT, DataPort
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.diagnosis import Diagnose
from tests.support.device.est_server import EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi
from tests.support.device.topic_broker import TopicBroker

__all__ = ["zymkey_iot"]

NOTE = f"is used instead (ALPN {HTTPS})"


# Which failures mean that a port is closed


def silent() -> NoAnswer:
    return NoAnswer("It did not answer.")


def slow() -> NoAnswer:
    failure = NoAnswer("It did not complete the handshake.")
    failure.connected = True
    return failure


def attempts(*outcomes: DeviceError | str) -> tuple[Callable[[int, str | None], str], list[tuple[int, str | None]]]:
    """A function that fails or returns as told, and the list of what it was called with."""
    asked: list[tuple[int, str | None]] = []
    left = list(outcomes)

    def attempt(port: int, protocol: str | None) -> str:
        asked.append((port, protocol))
        outcome = left.pop(0)
        if isinstance(outcome, DeviceError):
            raise outcome
        return outcome

    return attempt, asked


@pytest.mark.parametrize("closed", [PortClosed("Closed."), NoRoute("No route."), ProxyFailed("403."), silent()])
def test_a_closed_port_gives_way_to_443_and_stays_so(closed: NetworkError) -> None:
    told: list[str] = []
    port = DataPort(8443, HTTPS, fixed=False, tell=told.append)
    attempt, asked = attempts(closed, "done", "again")

    assert (port.reach(attempt), port.reach(attempt)) == ("done", "again")
    assert asked == [(8443, None), (443, HTTPS), (443, HTTPS)]
    assert (port.number, port.moved) == (443, True)
    assert told == [f"{closed.cause} Port 443 is used instead (ALPN {HTTPS})."]


@pytest.mark.parametrize("failure", [HungUp("Closed."), slow(), TopicDenied("No.")])
def test_other_failures_are_not_the_ports(failure: DeviceError) -> None:
    port = DataPort(8443, HTTPS, fixed=False)
    attempt, asked = attempts(failure)

    with pytest.raises(type(failure)):
        port.reach(attempt)
    assert (asked, port.moved) == ([(8443, None)], False)


@pytest.mark.parametrize("number", [8443, 443])
def test_a_port_that_was_chosen_is_the_only_one(number: int) -> None:
    attempt, asked = attempts(PortClosed("Closed."))

    with pytest.raises(PortClosed, match=r"^Closed\.$"):
        DataPort(number, HTTPS, fixed=True).reach(attempt)
    assert asked == [(number, HTTPS if number == 443 else None)]


def test_when_both_are_closed_the_first_one_is_to_blame() -> None:
    port = DataPort(8883, MQTT, fixed=False)
    attempt, _ = attempts(silent(), PortClosed("Closed."))

    with pytest.raises(NoAnswer, match=r"^It did not answer\. Port 443 cannot be reached either\.$"):
        port.reach(attempt)
    assert (port.number, port.moved) == (8883, False)


def test_what_443_says_of_the_certificate_counts() -> None:
    port = DataPort(8443, HTTPS, fixed=False)
    attempt, _ = attempts(silent(), CertificateRefused("Unknown."))

    with pytest.raises(CertificateRefused):
        port.reach(attempt)
    assert port.moved


# With servers that insist on it


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def shared(endpoint: DataEndpoint, est: EstServer, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> DataEndpoint:
    """The data endpoint at 443's place; the port that the cloud's configuration names is closed."""
    endpoint.alpn = HTTPS
    for module in (shared_port, curl_publish, servers):
        monkeypatch.setattr(module, "SHARED_PORT", endpoint.port)
    est.configuration["httpsPort"] = closed_port
    est.alpn = "http/1.1"  # the same device, a moment before and after
    return endpoint


def test_a_bootstrap_finds_443_says_so_and_keeps_it(
    shared: DataEndpoint, pi: Pi, zymkey_iot: Command, closed_port: int
) -> None:
    done = zymkey_iot("bootstrap")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"localhost port {closed_port} refuses connections. Port {shared.port} {NOTE}") == 1
    assert json.loads((pi.state / "device.json").read_text())["https-port"] == shared.port
    assert zymkey_iot("status").stdout.count(str(shared.port)) >= 1

    again = zymkey_iot("publish", "devices/{device}/t", "1")
    assert again.returncode == 0, again.stderr
    assert NOTE not in again.stdout
    assert set(shared.offered) == {HTTPS}


def test_a_renewal_finds_443_and_keeps_it(
    endpoint: DataEndpoint,
    est: EstServer,
    pi: Pi,
    zymkey_iot: Command,
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The device has moved into a network that closes 8443."""
    assert zymkey_iot("bootstrap").returncode == 0
    assert "https-port" not in json.loads((pi.state / "device.json").read_text())
    monkeypatch.setattr(shared_port, "SHARED_PORT", endpoint.port)
    est.configuration["httpsPort"] = closed_port
    endpoint.alpn = HTTPS
    est.issued.clear()

    done = zymkey_iot("renew")

    assert done.returncode == 0, done.stderr
    assert NOTE in done.stdout
    assert json.loads((pi.state / "device.json").read_text())["https-port"] == endpoint.port


def test_a_publish_finds_443_and_says_how_it_is_kept(
    endpoint: DataEndpoint, pi: Pi, zymkey_iot: Command, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    path = pi.state / "configuration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"httpsPort": closed_port}))
    monkeypatch.setattr(shared_port, "SHARED_PORT", endpoint.port)
    endpoint.alpn = HTTPS
    publish = ("publish", "devices/{device}/t", "1")

    done = zymkey_iot(*publish)

    assert (done.returncode, NOTE in done.stdout) == (0, True), done.stderr
    assert "until a bootstrap keeps this one: sudo zymkey-iot bootstrap" in done.stdout
    assert zymkey_iot("bootstrap").returncode == 0
    assert NOTE not in zymkey_iot(*publish).stdout
    assert zymkey_iot(*publish, "--https-port", str(closed_port)).returncode == 4, "a port that was chosen"


def test_443_without_alpn_would_not_do(shared: DataEndpoint, est: EstServer, zymkey_iot: Command) -> None:
    shared.alpn = "something-else"

    assert zymkey_iot("bootstrap", "--give-up-after", "0").returncode == 9


@pytest.fixture
def broker(pki: Path, est: EstServer, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[TopicBroker]:
    with TopicBroker(pki / "localhost.pem", pki / "ca.pem") as server:
        server.alpn = MQTT
        monkeypatch.setattr(shared_port, "SHARED_PORT", server.port)
        est.configuration["mqttPort"] = closed_port
        yield server


def test_mqtt_finds_443_too(broker: TopicBroker, endpoint: DataEndpoint, pi: Pi, zymkey_iot: Command) -> None:
    done = zymkey_iot("bootstrap", "--mqtt")

    assert done.returncode == 0, done.stderr
    assert f"Port {broker.port} is used instead (ALPN {MQTT})" in done.stdout
    assert json.loads((pi.state / "device.json").read_text())["mqtt-port"] == broker.port
    assert set(endpoint.offered) == {None}, "the data endpoint's own port offers nothing special"
    assert zymkey_iot("publish", "--mqtt", "devices/{device}/t", "1").returncode == 0
    assert set(broker.offered) == {MQTT}


def test_doctor_finds_443_and_asks_for_the_certificate_there(
    shared: DataEndpoint, pi: Pi, zymkey_iot: Command, diagnose: Diagnose
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    only = [word for check in ("publish", "endpoint-https-port", "endpoint-server") for word in ("--only", check)]
    checks = (*only, "--timeout", "2")
    kept = diagnose(*checks)
    device = json.loads((pi.state / "device.json").read_text())
    del device["https-port"]
    (pi.state / "device.json").write_text(json.dumps(device))

    found = diagnose(*checks)

    assert kept.status("endpoint-https-port") == kept.status("publish") == "ok"
    assert found.status("endpoint-https-port") == "warning"
    assert NOTE in found.text("endpoint-https-port")
    assert f"--https-port {shared.port}" in found.cure("endpoint-https-port")
    assert found.status("endpoint-server") == found.status("publish") == "ok"
    assert set(shared.offered) == {HTTPS}


def test_curl_cannot_offer_it_and_says_so(shared: DataEndpoint, zymkey_iot: Command, closed_port: int) -> None:
    done = zymkey_iot("bootstrap", "--tls", "curl", "--https-port", str(shared.port))
    assert done.returncode == 2
    assert "curl cannot offer the ALPN protocol x-amzn-http-ca" in done.stderr
    assert "--tls signer" in done.stderr

    done = zymkey_iot("bootstrap", "--tls", "curl", "--give-up-after", "0")
    assert done.returncode == 4
    assert "may be open, which curl cannot use here, but this process can: --tls signer" in done.stderr


# The user's own programs


def test_the_printed_programs_offer_it(
    shared: DataEndpoint, pi: Pi, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in (curl, explain):
        monkeypatch.setattr(module, "SHARED_PORT", shared.port)
    assert zymkey_iot("bootstrap").returncode == 0
    for name, value in pi.environment.items():
        monkeypatch.setenv(name, value)

    program = zymkey_iot("config", "requests").stdout
    (tmp_path / ".netrc").write_text("default login stranger password stolen\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    names = {"__name__": "hello"}
    exec(compile(program, "hello.py", "exec"), names)  # noqa: S102 - it is what is tested

    assert shared.published[-1].topic == "devices/pi-7/hello"
    assert set(shared.offered) == {HTTPS}
    sent = names["reply"].request.headers  # type: ignore[attr-defined]
    assert "authorization" not in {name.lower() for name in sent}
    assert len(names["device"].context.get_ca_certs()) == 1  # type: ignore[attr-defined]
    refused = zymkey_iot("config", "curl")
    assert (refused.returncode, "zymkey-iot config requests" in refused.stderr) == (2, True)
    assert "which curl does not offer. This does: zymkey-iot publish" in zymkey_iot("explain").stdout
    assert "curl --tlsv1.2" not in zymkey_iot("explain").stdout


def test_programs_for_mqtt_offer_it(broker: TopicBroker, pi: Pi, zymkey_iot: Command, pki: Path) -> None:
    assert zymkey_iot("bootstrap").returncode == 0

    printed = zymkey_iot("config", "mosquitto", "--mqtt-port", str(broker.port)).stdout
    device = this_device(state=pi.state, ca_file=pki / "ca.pem", mqtt_port=broker.port)
    with (
        socket.create_connection(("localhost", broker.port)) as plain,
        device.context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        assert secured.selected_alpn_protocol() == MQTT

    assert printed.count(f"--tls-alpn {MQTT}") == 2
    assert "--tls-alpn" not in zymkey_iot("config", "mosquitto", "--mqtt-port", "8883").stdout
    assert "keep_offering" not in zymkey_iot("config", "requests").stdout
