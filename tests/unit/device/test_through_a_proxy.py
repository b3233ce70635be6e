"""Requests through proxies: tunnels, passwords, exceptions; and nothing that the command has not been told to use."""

import base64
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device import https
from device.errors import NoAnswer, PortClosed, ProxyFailed, UsageError
from device.network import Network
from device.proxy import Proxy
from device.tls import client_context
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.scripted_server import ScriptedServer, relay
from tests.support.device.socks_proxy import SocksProxy


@pytest.fixture
def network(pki: Path) -> Network:
    return Network(client_context(pki / "ca.pem"))


def tunnel(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    relay(connection, int(head.split()[1].rpartition(b":")[2]))


@pytest.fixture
def proxy() -> Iterator[ScriptedServer]:
    with ScriptedServer(tunnel) as server:
        yield server


def through(network: Network, proxy: str) -> Network:
    return replace(network, proxy=Proxy.parse(proxy))


def get(url: str, network: Network, *, timeout: float = 5) -> https.Reply:
    return https.request("GET", url, network=network, timeout=timeout)


def header(head: bytes, name: bytes) -> bytes | None:
    lines = [line.partition(b": ") for line in head.split(b"\r\n")]
    return next((value for key, _, value in lines if key.lower() == name), None)


@pytest.mark.parametrize("password", ["word", "b#a[n/a@n:a%", "päß€", ""])
def test_user_and_password_arrive_as_they_are(
    est: EstServer, network: Network, proxy: ScriptedServer, password: str
) -> None:
    reply = get(est.url + "/configuration", through(network, f"http://us%20er:{password}@127.0.0.1:{proxy.port}"))

    assert reply.status == 200
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT localhost:{est.port} HTTP/1.".encode())
    assert header(head, b"proxy-authorization") == b"Basic " + base64.b64encode(f"us er:{password}".encode())


def test_the_server_does_not_get_to_see_the_proxys_password(
    est: EstServer, network: Network, proxy: ScriptedServer
) -> None:
    get(est.url + "/configuration", through(network, f"http://user:word@127.0.0.1:{proxy.port}"))

    assert "proxy-authorization" not in est.asked[0].headers


def test_a_proxy_without_a_password_gets_none(est: EstServer, network: Network, proxy: ScriptedServer) -> None:
    get(est.url + "/configuration", through(network, f"127.0.0.1:{proxy.port}"))

    assert header(proxy.heads[0], b"proxy-authorization") is None


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "did not connect: 407 Proxy Authentication Required."),
        (b"HTTP/1.1 403 \x1b[31mForbidden\r\n\r\n", r"did not connect: 403 \x1b[31mForbidden."),
        (b"", "did not connect: it closed the connection."),
        (b"220 mail ready\r\n", "did not connect: its answer is not HTTP."),
    ],
)
def test_a_proxy_that_does_not_connect_is_told(network: Network, answer: bytes, sentence: str) -> None:
    with (
        ScriptedServer(lambda connection, _: connection.sendall(answer)) as server,
        pytest.raises(ProxyFailed) as failed,
    ):
        get("https://cloud.example/", through(network, f"http://user:pass-word@127.0.0.1:{server.port}"))

    assert failed.value.cause == f"the proxy 127.0.0.1 port {server.port} {sentence}"
    assert "pass-word" not in failed.value.cause + failed.value.cure


def test_a_proxy_that_says_nothing_is_told(network: Network) -> None:
    with (
        ScriptedServer(lambda connection, _: connection.recv(1) and None) as server,
        pytest.raises(NoAnswer, match=r"accepted the connection and did not open a tunnel to cloud\.example"),
    ):
        get("https://cloud.example/", through(network, f"http://127.0.0.1:{server.port}"), timeout=0.1)


def test_a_proxy_that_is_not_there_is_told(network: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PortClosed, match=f"the proxy 127.0.0.1 port {port} refuses"):
        get("https://cloud.example/", through(network, f"http://127.0.0.1:{port}"))


def test_a_proxy_over_tls(est: EstServer, network: Network, pki: Path) -> None:
    with ScriptedServer(tunnel, pem=pki / "localhost.pem") as server:
        assert get(est.url + "/configuration", through(network, f"https://localhost:{server.port}")).status == 200
    assert server.heads[0].startswith(b"CONNECT ")


def test_a_proxy_that_is_said_to_speak_tls_and_does_not(network: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(ProxyFailed, match=r"TLS with the proxy localhost port \d+ failed: wrong version") as failed:
            get("https://cloud.example/", through(network, f"https://localhost:{listener.getsockname()[1]}"))
    assert "write http://" in failed.value.cure


# SOCKS


def test_socks_resolves_here_or_at_the_proxy(est: EstServer, network: Network) -> None:
    with SocksProxy(est.port) as socks:
        assert get(est.url + "/configuration", through(network, f"socks5h://{socks.server}")).status == 200
        assert get(est.url + "/configuration", through(network, f"socks5://{socks.server}")).status == 200
    assert socks.asked == ["localhost", "127.0.0.1"]


def test_a_socks_proxy_that_is_not_there_is_told_in_words(est: EstServer, network: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ProxyFailed, match=rf"the proxy 127\.0\.0\.1 port {port} did not connect: Connection refused\."):
        get(est.url, through(network, f"socks5://127.0.0.1:{port}"))


def test_socks_with_a_password(est: EstServer, network: Network) -> None:
    with SocksProxy(est.port, password="a#b@c") as socks:
        assert get(est.url + "/configuration", through(network, f"socks5h://user:a#b@c@{socks.server}")).status == 200
        with pytest.raises(ProxyFailed, match="authentication failed") as failed:
            get(est.url, through(network, f"socks5h://user:pass-word@{socks.server}"))
    assert "pass-word" not in failed.value.cause


def test_socks_that_cannot_connect_is_told(est: EstServer, network: Network) -> None:
    with SocksProxy(est.port, refuses=5) as socks, pytest.raises(ProxyFailed, match="refused"):
        get(est.url, through(network, f"socks5h://{socks.server}"))


def test_socks_without_its_package_says_how_to_install_it(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3.contrib.socks", None)
    with pytest.raises(UsageError, match="PySocks") as failed:
        get("https://cloud.example/", through(network, "socks5://127.0.0.1:1"))
    assert "pip install '.[socks]'" in failed.value.cure


# NO_PROXY


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("", "cloud.example", False),
        ("*", "cloud.example", True),
        ("localhost, *", "cloud.example", True),
        ("cloud.example", "cloud.example", True),
        ("CLOUD.example", "cloud.EXAMPLE", True),
        ("example", "cloud.example", True),
        (".example", "cloud.example", True),
        ("oud.example", "cloud.example", False),
        (".cloud.example", "cloud.example", True),
        ("cloud.example:8443", "cloud.example", True),
        ("cloud.example:443", "cloud.example", False),
        ("a.example,cloud.example ,b.example", "cloud.example", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("not/a/network", "10.1.2.3", False),
        ("10.0.0.0/99", "10.1.2.3", False),
    ],
)
def test_no_proxy_lists_hosts_domains_ports_and_networks(
    network: Network, no_proxy: str, host: str, direct: bool
) -> None:
    proxied = replace(through(network, "proxy.example"), no_proxy=no_proxy)

    assert (proxied.proxy_for(host, 8443) is None) is direct


# What no request takes


@pytest.fixture
def foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of other programs: proxies, passwords, roots and a log of keys, in the environment and in the home."""
    dead = "http://127.0.0.1:9"
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, dead)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere.pem"))
    (tmp_path / ".netrc").write_text("machine localhost login stranger password stolen\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))


@pytest.mark.usefixtures("foreign_settings")
def test_a_request_takes_nothing_from_the_environment(est: EstServer, network: Network) -> None:
    assert get(est.url + "/configuration", network).status == 200

    sent = est.asked[0].headers
    assert "authorization" not in sent
    assert set(sent) == {"host", "user-agent", "accept-encoding"}
    assert sent["user-agent"].startswith("zymkey-iot/")


@pytest.mark.usefixtures("foreign_settings")
def test_a_redirect_is_an_answer_and_takes_nothing_along(est: EstServer, network: Network) -> None:
    est.answers = [Answer(307, b"", {"Location": est.url + "/elsewhere", "Set-Cookie": "a=b"})]

    https.request("POST", est.url, network=network, headers={"Authorization": "Basic c2VjcmV0"}, body=b"x")
    get(est.url, network)

    assert [asked.path for asked in est.asked] == ["/stage", "/stage"]
    assert "cookie" not in est.asked[1].headers


@pytest.mark.parametrize("path", ["/topics/a/../b/./c", "/topics//a", "/topics/%2E%2E/x", "/topics/$a?qos=1"])
def test_a_path_arrives_as_it_is(est: EstServer, network: Network, path: str) -> None:
    get(f"https://localhost:{est.port}{path}", network)

    assert est.asked[0].path == path


def test_the_proxy_does_not_get_to_see_the_devices_certificate(network: Network) -> None:
    other = network.context.without_identity()

    assert other is not network.context
    assert other.get_ca_certs() == network.context.get_ca_certs()
    assert (other.verify_mode, other.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert other.verify_flags == network.context.verify_flags
