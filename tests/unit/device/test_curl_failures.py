"""`--tls curl`: what curl's exit codes mean to a person, in the exit codes of this command (curl's own manual)."""

from pathlib import Path

import pytest

from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

KEY, NETWORK, TRUST, CERTIFICATE, USAGE = 3, 4, 5, 9, 2


@pytest.fixture
def publish(pi: Pi, zymkey_iot: Command) -> Command:
    assert zymkey_iot("bootstrap").returncode == 0
    return lambda **variables: zymkey_iot("publish", "devices/{device}/t", "1", "--tls", "curl", **variables)


@pytest.mark.parametrize(
    ("code", "said", "exit_code", "names"),
    [
        (6, "Could not resolve host: localhost", NETWORK, "resolve"),
        (7, "Failed to connect to localhost port 1", NETWORK, "Failed to connect"),
        (28, "Operation timed out", NETWORK, "did not answer"),
        (97, "CONNECT tunnel failed, response 407", NETWORK, "HTTPS_PROXY"),
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
