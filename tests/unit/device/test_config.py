"""`zymkey-iot config` where it has nothing to print: it says why, and what comes first or what to use instead."""

from pathlib import Path

import pytest

from tests.support.device.pi import Pi


def test_the_bootstrap_comes_first(pi: Pi) -> None:
    done = pi.run("config", "paho")

    assert (done.returncode, done.stdout) == (12, "")
    assert "zymkey-iot bootstrap" in done.stderr


def test_an_unknown_client_is_told_those_that_there_are(pi: Pi) -> None:
    done = pi.run("config", "telnet")

    assert done.returncode == 2
    assert "mosquitto" in done.stderr


@pytest.mark.parametrize("version", ["8.14.1-2", "8.14.1-2+deb13u4"])
def test_a_curl_that_finds_no_engine_is_told_with_what_to_use_instead(
    zymkey_pi: Pi, tmp_path: Path, version: str
) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0
    curl = tmp_path / "curl"
    curl.write_text(f"#!/bin/sh\necho 'curl 8.14.1 (aarch64)'\necho 'Release-Date: , security patched: {version}'\n")
    curl.chmod(0o755)

    done = zymkey_pi.run("config", "curl", PATH=f"{tmp_path}:/usr/bin:/bin")

    assert (done.returncode, done.stdout) == (2, "")
    assert "deb13u5" in done.stderr
    assert "zymkey-iot config requests" in done.stderr


def test_a_software_key_goes_to_curl_as_a_file(pi: Pi, tmp_path: Path) -> None:
    assert pi.run("bootstrap").returncode == 0

    printed = pi.run("config", "curl").stdout

    assert f"--key {pi.state / 'key.pem'} " in printed
    assert "--engine" not in printed


def test_a_configuration_that_cannot_be_read_is_named_with_what_fetches_it_again(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    kept = pi.state / "configuration.json"
    kept.write_text("{")

    for command in (["config", "paho"], ["publish", "devices/{device}/t", "x"]):
        result = pi.run(*command)
        assert result.returncode == 12
        assert f"{kept} does not hold a configuration." in result.stderr
        assert f"(rm {kept}); then sudo zymkey-iot bootstrap fetches it again" in result.stderr

    kept.unlink()
    assert pi.run("bootstrap").returncode == 0
    assert pi.run("config", "paho").returncode == 0
