"""Settings and hooks that are there and cannot be used: what is said, and that nothing else is done."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from device.errors import UsageError
from device.settings import load
from tests.support.device.est_server import EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]


@pytest.mark.parametrize(
    ("spoil", "names"),
    [(lambda path: path.write_bytes(b'name = "\xff"'), "UTF-8"), (lambda path: path.mkdir(), "Is a directory")],
    ids=["not UTF-8", "a folder"],
)
def test_a_settings_file_that_cannot_be_read_is_named(
    tmp_path: Path, spoil: Callable[[Path], object], names: str
) -> None:
    path = tmp_path / "zymkey-iot.toml"
    spoil(path)
    with pytest.raises(UsageError, match=names) as refused:
        load(argparse.Namespace(), environ={"ZYMKEY_IOT_STATE": str(tmp_path)}, files=[path])
    assert str(path) in refused.value.cause


def test_a_token_file_that_is_no_text(pi: Pi, est: EstServer, zymkey_iot: Command, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"\x93\xff")
    done = zymkey_iot("bootstrap", "--token-file", str(token))
    assert (done.returncode, "not plain text" in done.stderr, est.asked) == (2, True, [])


def test_a_way_of_tls_that_there_is_not_names_those_that_there_are(est: EstServer, zymkey_iot: Command) -> None:
    done = zymkey_iot("bootstrap", "--tls", "magic")
    assert (done.returncode, "signer" in done.stderr, est.asked) == (2, True, [])


@pytest.mark.parametrize(
    ("script", "names"),
    [("exit 0\n", "did not start"), ("#!/bin/sh\nexec sleep 10\n", "did not end within")],
)
def test_a_hook_that_does_not_start_or_does_not_end_is_said_and_the_certificate_is_in_use(
    pi: Pi, zymkey_iot: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, names: str
) -> None:
    monkeypatch.setattr("device.hooks.TIMEOUT", 0.2)
    pi.environment["ZYMKEY_IOT_ON_RENEW"] = str(tmp_path / "on-renew.d")
    hook = tmp_path / "on-renew.d" / "10-restart"
    hook.parent.mkdir()
    hook.write_text(script)
    hook.chmod(0o755)

    done = zymkey_iot("bootstrap")

    assert (done.returncode, f"{hook} {names}" in done.stderr) == (15, True), done.stderr
    hook.unlink()
    assert zymkey_iot("bootstrap").returncode == 0
    assert (pi.state / "certificate.pem").exists()
