"""Each way in which a connection can fail has its own error, against real sockets and real TLS."""

import datetime
import errno
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device import https
from device.connection_errors import explain
from device.errors import (
    ClockWrong,
    DeviceError,
    HungUp,
    NameNotResolved,
    NetworkError,
    NoAnswer,
    NoRoute,
    PortClosed,
    ProxyFailed,
    ServerNotTrusted,
    UnexpectedReply,
    UsageError,
)
from device.network import Network
from device.proxy import Proxy
from device.tls import client_context
from tests.support.device.authority import Authority
from tests.support.device.est_server import Answer, EstServer


@pytest.fixture
def network(pki: Path) -> Network:
    return Network(client_context(pki / "ca.pem"))


def get(url: str, network: Network, *, timeout: float = 5) -> https.Reply:
    return https.request("GET", url, network=network, timeout=timeout)


@pytest.fixture
def raw_server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def answer_with(server: socket.socket, data: bytes) -> str:
    """Answer the next connection with `data`, whatever it says, and end it."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return f"https://localhost:{server.getsockname()[1]}/"


def test_a_reply_is_read_whole(est: EstServer, network: Network) -> None:
    est.answers = [Answer(200, b"x" * 100_000, {"X-Name": "value"})]

    reply = get(est.url, network)

    assert (reply.status, len(reply.body), reply.headers["x-name"]) == (200, 100_000, "value")


def test_redirections_are_not_followed(est: EstServer, network: Network) -> None:
    est.answers = [Answer(302, b"", {"Location": "https://elsewhere.invalid/"})]

    assert get(est.url, network).status == 302


def test_a_name_that_does_not_resolve(network: Network) -> None:
    with pytest.raises(
        NameNotResolved,
        match=r"name no-such-host\.invalid does not resolve|no DNS server told the address of no-such-host\.invalid",
    ):
        get("https://no-such-host.invalid/", network)


def test_a_closed_port(network: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PortClosed, match=f"localhost port {port} refuses"):
        get(f"https://localhost:{port}/", network)


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_a_network_without_a_route(number: int) -> None:
    # What the system says cannot be had from every machine, so here its word is taken up from there.
    error = explain(OSError(number, os.strerror(number)), peer="host port 443", host="host", seconds=1)

    assert isinstance(error, NoRoute)
    assert "Wi-Fi" in error.cure


def test_silence(raw_server: socket.socket, network: Network) -> None:
    with pytest.raises(NoAnswer, match=r"accepted the connection and did not complete the TLS handshake within 0\.3 s"):
        get(f"https://localhost:{raw_server.getsockname()[1]}/", network, timeout=0.3)


def test_an_untrusted_root(est: EstServer, tmp_path: Path) -> None:
    stranger = Authority("another CA").write_pem(tmp_path / "other.pem")
    with pytest.raises(ServerNotTrusted, match="does not lead to a trusted root") as refused:
        get(est.url, Network(client_context(stranger)))
    assert f"only the roots in {stranger} are trusted" in refused.value.cause
    assert "--ca-file ''" in refused.value.cure


def test_certifis_roots_are_the_default_and_know_amazon_and_not_our_test_ca(est: EstServer) -> None:
    context = client_context(None)
    with pytest.raises(ServerNotTrusted):
        get(est.url, Network(context))
    names = [
        dict(pair[0] for pair in ca["subject"])["commonName"] for ca in context.get_ca_certs() if "Amazon" in str(ca)
    ]
    assert {"Amazon Root CA 1", "Amazon Root CA 3"} <= set(names)


def test_a_certificate_for_another_name(authority: Authority, pki: Path, tmp_path: Path, network: Network) -> None:
    with (
        EstServer(authority, authority.write_server(tmp_path, "elsewhere.example")) as server,
        pytest.raises(ServerNotTrusted, match="certificate for another name"),
    ):
        get(server.url, network)


@pytest.mark.parametrize(("since", "until", "sentence"), [(1, 2, "is not valid yet"), (-2, -1, "has expired")])
def test_a_wrong_clock_is_told_from_a_stranger(
    authority: Authority,
    tmp_path: Path,
    network: Network,
    since: int,
    until: int,
    sentence: str,
) -> None:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    pem = authority.write_server(tmp_path, "localhost", since=now + since * day, until=now + until * day)
    with EstServer(authority, pem) as server, pytest.raises(ClockWrong, match=sentence) as refused:
        get(server.url, network)
    assert f"{now:%Y-%m-%d}" in refused.value.cause
    assert "timedatectl" in refused.value.cure


def test_a_server_that_ends_the_handshake(raw_server: socket.socket, network: Network) -> None:
    with pytest.raises(HungUp):
        get(answer_with(raw_server, b""), network)


def test_a_port_that_speaks_no_tls(raw_server: socket.socket, network: Network) -> None:
    with pytest.raises(NetworkError, match="does not speak TLS") as failed:
        get(answer_with(raw_server, b"HTTP/1.1 400 Bad Request\r\n\r\n"), network)
    assert not isinstance(failed.value, HungUp), "at the data endpoint this would blame the certificate"


def test_a_tls_server_that_speaks_no_http(pki: Path, network: Network, raw_server: socket.socket) -> None:
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(pki / "localhost.pem")

    def serve() -> None:
        connection, _ = raw_server.accept()
        with server_context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(4096)
            secured.sendall(b"220 mail ready\r\n")

    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises(UnexpectedReply, match="not HTTP"):
        get(f"https://localhost:{raw_server.getsockname()[1]}/", network)


def test_a_proxy_that_refuses(raw_server: socket.socket, network: Network) -> None:
    port = raw_server.getsockname()[1]
    answer_with(raw_server, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
    network = replace(network, proxy=Proxy.parse(f"http://user:pass-word@127.0.0.1:{port}"))

    with pytest.raises(ProxyFailed, match="407 Proxy Authentication Required") as refused:
        get("https://cloud.example/", network)
    assert "pass-word" not in refused.value.cause + refused.value.cure


def test_a_proxy_is_used_and_no_proxy_is_honoured(est: EstServer, raw_server: socket.socket, network: Network) -> None:
    asked: list[bytes] = []

    def proxy() -> None:
        client, _ = raw_server.accept()
        asked.append(client.recv(4096))
        with socket.create_connection(("127.0.0.1", est.port)) as upstream:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            for a, b in ((client, upstream), (upstream, client)):
                threading.Thread(target=_pump, args=(a, b), daemon=True).start()
            done.wait(10)

    done = threading.Event()
    thread = threading.Thread(target=proxy, daemon=True)
    thread.start()
    network = replace(network, proxy=Proxy.parse(f"127.0.0.1:{raw_server.getsockname()[1]}"))

    assert get(est.url + "/configuration", network).status == 200
    done.set()
    thread.join()
    assert asked[0].startswith(f"CONNECT localhost:{est.port} ".encode())

    raw_server.close()
    assert get(est.url + "/configuration", replace(network, no_proxy="localhost")).status == 200


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_ipv6(authority: Authority, pki: Path, tmp_path: Path, network: Network) -> None:
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(authority.write_server(tmp_path, "::1"))
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with server_context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(4096)
                secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        assert get(f"https://[::1]:{server.getsockname()[1]}/", network).status == 204


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "roots.pem"
    if content:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"roots\.pem"):
        client_context(path)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), (" 5 ", 5), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", None), ("", None), ("-3", None)],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float | None) -> None:
    assert https.Reply(202, {"retry-after": header}, b"").retry_after == seconds


def test_a_servers_sentence_is_made_safe_to_print() -> None:
    assert https.Reply(400, {}, b"No.\nMore").sentence() == "No"
    assert "\033" not in https.Reply(400, {}, b"\033[31mred").sentence()
    assert https.Reply(502, {}, b"<html>").sentence() == ""
    assert issubclass(HungUp, DeviceError)
