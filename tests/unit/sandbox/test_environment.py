"""build/sandbox.env, as a shell reads it."""

import os
from pathlib import Path

import pytest

from sandbox.addresses import REPOSITORY, Addresses
from sandbox.certificates import ServerCertificates
from sandbox.environment import (
    aws_environment,
    device_environment,
    reachable_enrollment_url,
    sourced,
    write_environment_file,
)
from sandbox.errors import SandboxError

ADDRESSES = Addresses(gateway_port=1, https_port=2, mqtt_port=3, directory=Path("/a folder"))


def test_a_shell_gets_every_value_as_it_is(tmp_path: Path) -> None:
    values = {"A": "plain", "B": "two words", "C": "$default 'quoted' \"twice\" `and` \\", "D": ""}
    write_environment_file(tmp_path / "sandbox.env", values)
    assert values.items() <= sourced(tmp_path / "sandbox.env").items()


def test_the_two_commands_come_first_on_the_path_and_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_environment_file(tmp_path / "sandbox.env", {})
    before = os.environ["PATH"]
    once = sourced(tmp_path / "sandbox.env")["PATH"]
    assert once == f"{REPOSITORY / 'bin'}:{before}"
    monkeypatch.setenv("PATH", once)
    assert sourced(tmp_path / "sandbox.env")["PATH"] == once


def test_a_real_accounts_profile_and_session_do_not_mix_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    write_environment_file(tmp_path / "sandbox.env", {})
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & set(sourced(tmp_path / "sandbox.env"))


def test_everything_that_the_commands_read_is_there() -> None:
    certificates = ServerCertificates.in_directory(ADDRESSES.directory)
    aws = aws_environment(ADDRESSES, certificates)
    device = device_environment(ADDRESSES, enrollment_url="https://x", roots=Path("r"), engines=Path("e"))
    assert aws | device == {
        "ENROLLMENT_URL": "https://x",
        "IOT_ENDPOINT": "localhost",
        "IOT_HTTPS_PORT": "2",
        "IOT_CREDENTIAL_ENDPOINT": "localhost:2",
        "IOT_MQTT_PORT": "3",
        "CA_BUNDLE": "r",
        "OPENSSL_ENGINES": "e",
        "AWS_ENDPOINT_URL": "https://127.0.0.1:1",
        "AWS_CA_BUNDLE": "/a folder/root.crt",
        "NODE_EXTRA_CA_CERTS": "/a folder/root.crt",
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ("https://ab12.execute-api.localhost:4566", "ab12/$default"),
        ("https://ab12.execute-api.eu-central-1.amazonaws.com/", "ab12/$default"),
        ("https://ab12.execute-api.localhost:4566/live", "ab12/live"),
    ],
)
def test_the_api_is_found_under_a_path_of_the_gateway(output: str, path: str) -> None:
    assert reachable_enrollment_url(ADDRESSES, output) == f"https://127.0.0.1:1/_aws/execute-api/{path}"


def test_addresses_go_through_the_environment_unchanged() -> None:
    assert Addresses.from_environment(ADDRESSES.to_environment()) == ADDRESSES
    assert Addresses.from_environment({}) == Addresses()


@pytest.mark.parametrize("value", ["", "http", "-1", "0", "65536", "4566.5"])
def test_a_port_that_is_none_is_refused_in_one_sentence(value: str) -> None:
    with pytest.raises(SandboxError, match=f"^SANDBOX_MQTT_PORT is '{value}', but must be a port number.$"):
        Addresses.from_environment({"SANDBOX_MQTT_PORT": value})
