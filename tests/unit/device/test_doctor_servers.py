"""doctor's checks of the servers, and of what is on the way to them."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.diagnosis import Diagnose
from tests.support.device.est_server import EstServer
from tests.support.device.pi import Pi


@pytest.fixture
def enrolled(pi: Pi) -> Pi:
    """A device that is well, but for its software key."""
    assert pi.run("bootstrap").returncode == 0
    return pi


@contextmanager
def dropped() -> Iterator[int]:
    """A port whose packets are dropped: its queue of connections is full, and nobody takes any."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()


def test_a_firewall_that_drops_packets_is_told_from_one_that_refuses(enrolled: Pi, diagnose: Diagnose) -> None:
    with dropped() as port:
        found = diagnose(
            *("--only", "endpoint-https-port", "--only", "endpoint-mqtt-port", "--timeout", "1"),
            IOT_HTTPS_PORT=str(port),
            IOT_MQTT_PORT=str(_closed_port()),
        )

    assert (found.code, found.checks["endpoint-https-port"]["error"]) == (4, "no-answer")
    assert "drops packets" in found.cure("endpoint-https-port")
    assert found.status("endpoint-mqtt-port") == "warning"
    assert "refuses connections" in found.text("endpoint-mqtt-port")


def test_a_proxy_that_refuses_is_the_ports_fault_and_names_itself(pi: Pi, diagnose: Diagnose) -> None:
    import threading

    def refuse() -> None:
        client, _ = proxy.accept()
        with client:
            client.recv(4096)
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as proxy:
        threading.Thread(target=refuse, daemon=True).start()
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        found = diagnose(
            *("--only", "enrollment-dns", "--only", "enrollment-port"),
            HTTPS_PROXY=f"http://user:secret-word@{address}",
        )

    assert "resolves localhost" in found.text("enrollment-dns")
    assert found.checks["enrollment-port"]["error"] == "proxy-failed"
    assert "407" in found.text("enrollment-port")
    assert "secret-word" not in str(found.document)


def test_a_server_that_nobody_vouches_for_is_named_by_its_issuer(
    enrolled: Pi, diagnose: Diagnose, tmp_path: Path
) -> None:
    """The published recipe gives the device's own CA as --cacert; AWS's servers are not signed by it."""
    own = Authority("the device's own CA").write_pem(tmp_path / "own.pem")
    found = diagnose("--ca-file", str(own))

    assert found.code == 5
    for check in ("enrollment-server", "endpoint-server"):
        assert "It was issued by loopback CA" in found.text(check)
        assert f"only the roots in {own} are trusted" in found.text(check)
    assert found.checks["publish"]["needs"] == "endpoint-server"


def test_the_name_of_an_issuer_cannot_command_the_terminal(pi: Pi, diagnose: Diagnose, tmp_path: Path) -> None:
    stranger = Authority("\033[2Jgateway")
    with EstServer(stranger, stranger.write_server(tmp_path, "localhost")) as server:
        found = diagnose("--only", "enrollment-server", ENROLLMENT_URL=server.url)

    assert r"It was issued by \x1b[2Jgateway" in found.text("enrollment-server")


def test_a_data_endpoint_that_insists_on_a_certificate_under_tls_1_2_has_proved_its_own(
    enrolled: Pi, diagnose: Diagnose, endpoint: DataEndpoint
) -> None:
    endpoint.context.maximum_version = ssl.TLSVersion.TLSv1_2
    found = diagnose("--only", "endpoint-server", "--only", "publish")

    assert found.status("endpoint-server") == found.status("publish") == "ok"
    assert "asks for the device's certificate" in found.text("endpoint-server")


def test_a_device_does_not_need_the_enrollment_service_to_publish(enrolled: Pi, diagnose: Diagnose) -> None:
    found = diagnose(ENROLLMENT_URL=f"https://localhost:{_closed_port()}")

    assert (found.code, found.status("enrollment-port")) == (4, "failed")
    assert found.status("clock") == "skipped"
    assert found.status("publish") == "ok"


def test_an_url_without_an_enrollment_service(pi: Pi, diagnose: Diagnose) -> None:
    found = diagnose("--only", "enrollment", ENROLLMENT_URL=pi.environment["ENROLLMENT_URL"] + "/elsewhere")

    assert (found.code, found.status("enrollment")) == (8, "failed")
    assert "EnrollmentUrl" in found.cure("enrollment")


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
