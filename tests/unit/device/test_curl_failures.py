"""`--tls curl`: what curl's exit codes mean to a person, in the exit codes of this command (curl's own manual)."""

import base64
import socket
from pathlib import Path

import pytest

from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi
from tests.support.device.scripted_server import ScriptedServer, relay

__all__ = ["zymkey_iot"]

KEY, NETWORK, TRUST, CERTIFICATE, USAGE = 3, 4, 5, 9, 2


@pytest.fixture
def publish(pi: Pi, zymkey_iot: Command) -> Command:
    assert zymkey_iot("bootstrap").returncode == 0
    command = ("publish", "devices/{device}/t", "1", "--tls", "curl")
    return lambda *words, **variables: zymkey_iot(*command, *words, **variables)


@pytest.mark.parametrize(
    ("code", "said", "exit_code", "names"),
    [
        (6, "Could not resolve host: localhost", NETWORK, "resolve"),
        (7, "Failed to connect to localhost port 1", NETWORK, "Failed to connect"),
        (28, "Operation timed out", NETWORK, "did not answer"),
        (97, "CONNECT tunnel failed, response 407", NETWORK, "HTTPS_PROXY"),
        (56, "CONNECT tunnel failed, response 407", NETWORK, "HTTPS_PROXY"),
        (56, "Received HTTP code 403 from proxy after CONNECT", NETWORK, "HTTPS_PROXY"),
        (56, "OpenSSL SSL_read: unexpected eof while reading", CERTIFICATE, "certificate"),
        (63, "Maximum file size exceeded", 8, "too long"),
        (5, "Could not resolve proxy", NETWORK, "HTTPS_PROXY"),
        (35, "OpenSSL SSL_connect: Connection reset by peer", CERTIFICATE, "certificate"),
        (52, "Empty reply from server", CERTIFICATE, "certificate"),
        (53, "SSL Engine 'zymkey_ssl' not found", KEY, "sudo apt install curl"),
        (54, "Failed to set SSL Engine as default", KEY, "sudo apt install curl"),
        (58, "could not load ENGINE private key", KEY, "zymkey-iot key"),
        (60, "SSL certificate problem: certificate has expired", TRUST, "timedatectl set-ntp true"),
        (60, "SSL certificate problem: certificate is not yet valid", TRUST, "timedatectl set-ntp true"),
        (60, "SSL certificate problem: self-signed certificate in chain", TRUST, "--ca-file"),
        (77, "error setting certificate verify locations", USAGE, "CA file"),
        (99, "something new", NETWORK, "99"),
    ],
)
def test_each_exit_code_of_curl_has_a_cause_and_a_cure(
    publish: Command, tmp_path: Path, code: int, said: str, exit_code: int, names: str
) -> None:
    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\necho "curl: ({code}) {said}" >&2\nexit {code}\n')
    curl.chmod(0o755)

    done = publish(PATH=f"{tmp_path}:/usr/bin:/bin")

    assert (done.returncode, names in done.stderr) == (exit_code, True), done.stderr


def test_without_curl_its_package_is_named(publish: Command, tmp_path: Path) -> None:
    done = publish(PATH=str(tmp_path))
    assert (done.returncode, "sudo apt install curl" in done.stderr) == (KEY, True)


def test_curl_publishes_with_a_software_key_and_none_of_the_users_own_settings(
    publish: Command, endpoint: DataEndpoint, tmp_path: Path
) -> None:
    (tmp_path / ".curlrc").write_text("proxy = http://127.0.0.1:1\n")

    done = publish(HOME=str(tmp_path))

    assert done.returncode == 0, done.stderr
    assert endpoint.published[-1].topic == "devices/pi-7/t"


def test_a_denied_topic_is_told_from_a_refused_certificate(publish: Command, endpoint: DataEndpoint) -> None:
    endpoint.allowed = "elsewhere/"
    assert publish().returncode == 10


def test_curl_goes_through_the_proxy_of_the_settings_and_shows_no_password(
    publish: Command, endpoint: DataEndpoint, tmp_path: Path
) -> None:
    arguments = tmp_path / "arguments"
    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\necho "$@" >> {arguments}\nexec /usr/bin/curl "$@"\n')
    curl.chmod(0o755)
    elsewhere = {"PATH": f"{tmp_path}:/usr/bin:/bin", "https_proxy": "http://127.0.0.1:9"}

    def tunnel(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        relay(connection, endpoint.port)

    with ScriptedServer(tunnel) as proxy:
        url = f"http://user:pass#wo/rd@127.0.0.1:{proxy.port}"
        done = publish("--proxy", url, **elsewhere)
        assert done.returncode == 0, done.stderr
        (head,) = proxy.heads
        direct = publish("--proxy", url, "--no-proxy", "localhost", **elsewhere)
        assert direct.returncode == 0, direct.stderr
        assert len(proxy.heads) == 1

    assert head.startswith(f"CONNECT localhost:{endpoint.port} ".encode())
    assert base64.b64encode(b"user:pass#wo/rd") in head
    assert "pass" not in arguments.read_text()


def test_a_proxy_that_refuses_curl_is_to_blame(publish: Command, tmp_path: Path) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with ScriptedServer(lambda connection, _: connection.sendall(refusal)) as proxy:
        done = publish("--proxy", f"http://127.0.0.1:{proxy.port}")
    assert (done.returncode, "the proxy did not connect" in done.stderr) == (NETWORK, True), done.stderr


@pytest.mark.parametrize(
    ("connected", "secured", "sentence"),
    [
        ("0.000000", "0.000000", "did not answer within 21 s."),
        ("0.100000", "0.000000", "did not complete the TLS handshake within 21 s."),
        ("0.100000", "0.200000", "accepted the request and did not answer it within 21 s."),
    ],
)
def test_a_time_out_of_curl_says_what_was_waited_for(
    publish: Command, tmp_path: Path, connected: str, secured: str, sentence: str
) -> None:
    curl = tmp_path / "curl"
    written = f"\\n000 {connected} {secured} 20.999 "
    curl.write_text(f'#!/bin/sh\nprintf "{written}"\necho "curl: (28) Operation timed out" >&2\nexit 28\n')
    curl.chmod(0o755)

    done = publish(PATH=f"{tmp_path}:/usr/bin:/bin")

    assert sentence in done.stderr
    assert ("--tls signer" in done.stderr) is (connected == "0.000000")


def test_a_curl_that_is_killed_in_the_middle_of_an_answer_is_told(publish: Command, tmp_path: Path) -> None:
    curl = tmp_path / "curl"
    curl.write_text("#!/bin/sh\nprintf '{\"message\":\\n half of it'\nkill -9 $$\n")
    curl.chmod(0o755)

    done = publish(PATH=f"{tmp_path}:/usr/bin:/bin")

    assert (done.returncode, "curl ended with -9" in done.stderr) == (NETWORK, True), done.stderr
