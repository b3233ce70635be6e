"""Whatever a server sends, a request ends in time, with a sentence, and without more memory than an answer needs."""

import gzip
import itertools
import socket
import ssl
import struct
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import adapter, https, tcp
from device.errors import DeviceError, HungUp, NetworkError, NoAnswer, PortClosed, UnexpectedReply
from device.network import Network
from device.tls import client_context
from tests.support.device.scripted_server import Script, ScriptedServer

TIMEOUT = 0.1
"""Seconds for a single wait; the whole may take three times as long."""

MEGABYTE = 1 << 20


@pytest.fixture
def network(pki: Path) -> Network:
    return Network(client_context(pki / "ca.pem"))


def ask(pki: Path, network: Network, script: Script, *, timeout: float = 5) -> https.Reply:
    with ScriptedServer(script, pem=pki / "localhost.pem") as server:
        return https.request("GET", server.url, network=network, timeout=timeout)


def failure(pki: Path, network: Network, script: Script, *, timeout: float = 5) -> DeviceError:
    with pytest.raises(DeviceError) as failed:
        ask(pki, network, script, timeout=timeout)
    return failed.value


def say(*parts: bytes) -> Script:
    def script(connection: socket.socket, _: bytes) -> None:
        for part in parts:
            connection.sendall(part)

    return script


def drip(*parts: bytes) -> Script:
    """Say `parts`, and then a byte of the last one again and again, each in time for a single wait."""

    def script(connection: socket.socket, _: bytes) -> None:
        for part in parts:
            connection.sendall(part)
        for byte in itertools.cycle(parts[-1]):
            connection.sendall(bytes([byte]))
            time.sleep(TIMEOUT / 5)

    return script


def length(number: int, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % number, *headers, b"", b""])


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def endless_chunks(connection: socket.socket, _: bytes) -> None:
    connection.sendall(CHUNKED)
    while True:
        connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")


@pytest.mark.parametrize(
    "script",
    [
        say(length(100 * MEGABYTE), *[bytes(MEGABYTE)] * 3),
        say(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n", *[bytes(MEGABYTE)] * 3),
        endless_chunks,
    ],
    ids=["100-MB", "redirect", "chunks"],
)
def test_an_answer_that_is_too_long_is_not_read(pki: Path, network: Network, script: Script) -> None:
    failed = failure(pki, network, script)

    assert isinstance(failed, UnexpectedReply)
    assert "localhost sends an answer of more than 1 MB" in failed.cause


def test_an_answer_of_the_greatest_length_is_read(pki: Path, network: Network) -> None:
    body = bytes(adapter.LARGEST_BODY)
    assert ask(pki, network, say(length(len(body)), body)).body == body


def test_a_compressed_answer_is_measured_unpacked(pki: Path, network: Network) -> None:
    bomb = gzip.compress(gzip.compress(bytes(64 * MEGABYTE)))
    assert len(bomb) < 1000
    encoded = b"Content-Encoding: gzip, gzip"
    tracemalloc.start()
    try:
        failed = failure(pki, network, say(length(len(bomb), encoded), bomb))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(failed, UnexpectedReply)
    assert "more than 1 MB" in failed.cause
    assert peak < 8 * MEGABYTE
    assert ask(pki, network, say(length(len(gzip.compress(b"x")), b"Content-Encoding: gzip"), gzip.compress(b"x"))).body


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (drip(b"HTTP/1.1 200 O"), "accepted the request and did not answer it"),
        (drip(b"HTTP/1.1 200 OK\r\nX: "), "accepted the request and did not answer it"),
        (drip(b"HTTP/1.1 100 Continue\r\n\r\n"), "accepted the request and did not answer it"),
        (drip(length(MEGABYTE), b"x"), "began its answer and did not complete it"),
        (drip(CHUNKED, b"1\r\nx\r\n"), "began its answer and did not complete it"),
        (drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), "began its answer and did not complete it"),
    ],
    ids=["status", "header", "100", "body", "chunks", "no-length"],
)
def test_a_slow_drip_ends_with_the_whole_time(pki: Path, network: Network, script: Script, sentence: str) -> None:
    began = time.monotonic()
    failed = failure(pki, network, script, timeout=TIMEOUT)
    took = time.monotonic() - began

    assert isinstance(failed, NoAnswer)
    assert sentence in failed.cause
    assert took < https.WHOLE * TIMEOUT + 0.5
    assert "firewall that drops packets" not in failed.cure


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        (b"", "localhost accepted the request and did not answer it within 0.1 s."),
        (length(5), "localhost began its answer and did not complete it within 0."),
    ],
)
def test_silence_says_what_was_waited_for_and_how_long(
    pki: Path, network: Network, before: bytes, sentence: str
) -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(before)
        connection.recv(1)

    failed = failure(pki, network, script, timeout=0.12)

    assert isinstance(failed, NoAnswer)
    assert sentence in failed.cause
    assert failed.connected
    assert "not at this device" in failed.cure


def test_a_handshake_that_drips_ends(network: Network) -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        """Never gets here: the client's first message has no empty line."""

    with ScriptedServer(script) as server, pytest.raises(NoAnswer, match="did not complete the TLS handshake"):
        https.request("GET", server.url, network=network, timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("script", "kind", "sentence"),
    [
        (say(), HungUp, "closed the connection without an answer"),
        (say(b"220 mail ready\r\n"), UnexpectedReply, "not HTTP"),
        (say(b"HTTP/1.1 two hundred\r\n\r\n"), UnexpectedReply, "not HTTP"),
        (say(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"), UnexpectedReply, "not HTTP"),
        (say(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"), UnexpectedReply, "not HTTP"),
        (say(length(1, b"Content-Length: 2"), b"xy"), UnexpectedReply, "not HTTP"),
        (say(CHUNKED, b"zz\r\nx\r\n"), UnexpectedReply, "not HTTP"),
        (say(length(2, b"Content-Encoding: gzip"), b"xy"), UnexpectedReply, "not HTTP"),
        (say(length(9), b"cut off"), NetworkError, "closed the connection in the middle of its answer"),
        (say(CHUNKED, b"9\r\ncut"), NetworkError, "closed the connection in the middle of its answer"),
        (say(CHUNKED, b"1\r\nx\r\n"), NetworkError, "closed the connection in the middle of its answer"),
    ],
)
def test_an_answer_that_breaks_the_rules_is_told(
    pki: Path, network: Network, script: Script, kind: type[DeviceError], sentence: str
) -> None:
    failed = failure(pki, network, script)

    assert type(failed) is kind
    assert sentence in failed.cause


@pytest.mark.parametrize("before", [b"", length(9) + b"half"])
def test_a_reset_is_told(pki: Path, network: Network, before: bytes) -> None:
    def reset(connection: socket.socket, _: bytes) -> None:
        connection.sendall(before)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The descriptor alone: unwrapping TLS would say goodbye.
        socket.close(connection.detach())

    failed = failure(pki, network, reset)

    assert isinstance(failed, NetworkError)
    assert "closed the connection" in failed.cause


def test_an_answer_that_comes_before_the_request_was_read_counts(pki: Path, network: Network) -> None:
    def too_large(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.2)

    with ScriptedServer(too_large, pem=pki / "localhost.pem") as server:
        reply = https.request("POST", server.url, network=network, body=bytes(MEGABYTE))
    assert reply.status == 413


def test_headers_that_appear_twice_and_odd_ones_do_no_harm(pki: Path, network: Network) -> None:
    odd = b"\xff: \xff\r\nSet-Cookie: =; expires=\xff\r\nno colon\r\nRetry-After: \xb2\r\nContent-Type: \xff;;"
    reply = ask(pki, network, say(b"HTTP/1.1 503 \xff\r\nContent-Length: 0\r\n" + odd + b"\r\n\r\n"))

    assert (reply.status, reply.retry_after) == (503, None)


# Addresses


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port that does not answer: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(2)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])
        for each in waiting:
            each.close()


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[int, str, int]) -> None:
    found = [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address, port in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_an_address_that_is_dead_leaves_time_for_the_next(
    pki: Path, network: Network, monkeypatch: pytest.MonkeyPatch, deaf: int, closed_port: int
) -> None:
    with ScriptedServer(say(length(0)), pem=pki / "localhost.pem") as server:
        resolving(
            monkeypatch,
            (socket.AF_INET6, "2001:db8::1", 443),
            (socket.AF_INET, "127.0.0.2", deaf),
            (socket.AF_INET, "127.0.0.1", closed_port),
            (socket.AF_INET, "127.0.0.1", server.port),
        )
        assert https.request("GET", server.url, network=network, timeout=0.8).status == 200


def test_all_addresses_together_take_no_longer_than_one(
    network: Network, monkeypatch: pytest.MonkeyPatch, deaf: int
) -> None:
    resolving(monkeypatch, *[(socket.AF_INET, "127.0.0.2", deaf)] * 4)
    began = time.monotonic()
    with pytest.raises(NoAnswer, match=r"localhost port 8443 did not answer within 0\.[34] s") as failed:
        https.request("GET", "https://localhost:8443/", network=network, timeout=0.3)

    assert time.monotonic() - began < 0.6
    assert not failed.value.connected
    assert "a firewall that drops packets looks like this" in failed.value.cure


def test_the_most_telling_address_gives_the_reason(
    network: Network, monkeypatch: pytest.MonkeyPatch, closed_port: int, deaf: int
) -> None:
    resolving(
        monkeypatch,
        (socket.AF_INET, "127.0.0.2", deaf),
        (socket.AF_INET, "127.0.0.1", closed_port),
        (socket.AF_INET6, "2001:db8::1", 443),
    )
    with pytest.raises(PortClosed):
        https.request("GET", "https://localhost:8443/", network=network, timeout=0.3)


@pytest.mark.parametrize(
    "name", ["a" * 64 + ".example", "a..example", "white space.example", "-a.example", "bü.example"]
)
def test_what_is_no_host_name_does_not_resolve(network: Network, name: str) -> None:
    with pytest.raises(NetworkError, match="does not resolve"):
        https.request("GET", f"https://{name}/", network=network)


def test_pythons_own_word_for_a_name_that_is_none_is_understood() -> None:
    with pytest.raises(socket.gaierror):
        tcp.resolve("a" * 64, 443)


def test_a_request_is_sent_once(pki: Path, network: Network) -> None:
    with ScriptedServer(say(), pem=pki / "localhost.pem") as server, pytest.raises(HungUp):
        https.request("POST", server.url, network=network, body=b"x")

    assert len(server.heads) == 1


def test_the_roots_that_requests_brings_are_not_added_to_the_devices(pki: Path, network: Network) -> None:
    before = len(network.context.get_ca_certs())
    ask(pki, network, say(length(0)))

    assert len(network.context.get_ca_certs()) == before
    assert network.context.verify_mode is ssl.CERT_REQUIRED
    assert network.context.check_hostname
