"""AWS credentials are kept in memory: one signature for as long as they are good, and nobody else reads them."""

import errno
import json
import os
import shutil
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device import credential_cache
from device.credential_cache import MARGIN, CredentialCache
from tests.support.device.aws_credentials import device, given, memory, provider
from tests.support.device.credential_provider import SECRET, CredentialProvider
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["device", "memory", "provider", "zymkey_iot"]


def test_ten_programs_at_once_cost_one_signature(device: Pi, provider: CredentialProvider) -> None:
    with ThreadPoolExecutor(10) as programs:
        documents = list(programs.map(lambda _: given(device.run("credentials")), range(10)))

    assert all(document == documents[0] for document in documents)
    assert (len(provider.asked), provider.handshakes) == (1, 1)
    assert given(device.run("credentials", "--fresh"))["AccessKeyId"] == "ASIAEXAMPLE2"
    assert given(device.run("credentials"))["AccessKeyId"] == "ASIAEXAMPLE2"


@pytest.mark.parametrize(("seconds", "requests"), [(3600, 1), (MARGIN * 2 + 60, 1), (900, 1)])
def test_what_is_kept_lives_on_for_longer_than_an_sdk_wants_or_for_half_of_its_life(
    device: Pi, provider: CredentialProvider, memory: Path, seconds: int, requests: int
) -> None:
    provider.seconds = seconds
    for _ in range(2):
        given(device.run("credentials"))
    assert len(provider.asked) == requests

    (kept,) = (memory / "zymkey-iot").glob("*.json")
    record = json.loads(kept.read_text())
    left = min(MARGIN, seconds / 2)
    record["obtained"] = record["expires"] - seconds
    for used, asked in ((seconds - left - 30, 1), (seconds - left + 30, 2)):
        record["obtained"], record["expires"] = time.time() - used, time.time() - used + seconds
        kept.write_text(json.dumps(record))
        given(device.run("credentials"))
        assert len(provider.asked) == asked


def test_botocore_wants_other_credentials_later_than_they_are_kept() -> None:
    from botocore.credentials import RefreshableCredentials

    assert RefreshableCredentials._advisory_refresh_timeout < MARGIN


def test_a_clock_that_was_set_back_makes_nothing_live_longer(
    device: Pi, provider: CredentialProvider, memory: Path
) -> None:
    given(device.run("credentials"))
    (kept,) = (memory / "zymkey-iot").glob("*.json")
    record = json.loads(kept.read_text())
    kept.write_text(json.dumps(record | {"obtained": time.time() + 60, "expires": time.time() + 7200}))
    given(device.run("credentials"))
    assert len(provider.asked) == 2


def test_another_certificate_or_another_way_to_ask_gets_other_credentials(
    device: Pi, provider: CredentialProvider
) -> None:
    given(device.run("credentials"))
    given(device.run("credentials", "--tls", "signer"))
    assert len(provider.asked) == 2
    certificate = device.state / "certificate.pem"
    certificate.write_bytes(certificate.read_bytes() + b"\n")
    given(device.run("credentials"))
    assert len(provider.asked) == 3


def test_nobody_else_can_read_them_and_no_other_file_has_them(device: Pi, memory: Path, tmp_path: Path) -> None:
    given(device.run("credentials"))
    folder = memory / "zymkey-iot"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.geteuid()
    kept = list(folder.iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}
    holding = {path for path in tmp_path.rglob("*") if path.is_file() and SECRET in path.read_text(errors="replace")}
    assert {path.suffix for path in holding} == {".json"}
    assert holding <= set(kept)


@pytest.mark.parametrize("what", ["open to others", "a link"])
def test_a_folder_that_is_not_this_users_alone_is_not_used(
    device: Pi, memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder = memory / "zymkey-iot"
    if what == "a link":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        folder.chmod(0o755)
    given(device.run("credentials"))
    assert list(folder.iterdir()) == []


def test_without_a_folder_nothing_is_kept_and_each_run_asks(
    device: Pi, provider: CredentialProvider, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_cache, "_open_folder", lambda _: None)
    for _ in range(2):
        given(zymkey_iot("credentials"))
    assert len(provider.asked) == 2


@pytest.mark.parametrize("name", ["", "ZYMKEY_IOT_STATE"], ids=["option", "variable"])
def test_a_state_folder_that_is_named_from_two_folders_is_two(
    device: Pi, provider: CredentialProvider, tmp_path: Path, name: str
) -> None:
    """What one device was given is not another's, though both are ``--state state`` to those who stand beside it."""
    other = tmp_path / "other"
    shutil.copytree(device.state, other / device.state.name)
    relative = {"ZYMKEY_IOT_STATE": device.state.name} if name else {"ZYMKEY_IOT_STATE": ""}
    options = () if name else ("--state", device.state.name)
    for folder in (device.state.parent, other, other):
        given(replace(device, folder=folder).run("credentials", *options, **relative))
    assert len(provider.asked) == 2


def test_full_memory_costs_signatures_and_no_credentials(
    device: Pi, provider: CredentialProvider, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = os.open

    def full(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if str(path).startswith("credentials-") and flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return open_file(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", full)
    for _ in range(2):
        given(zymkey_iot("credentials"))
    assert len(provider.asked) == 2


def test_a_certificate_that_changes_meanwhile_is_asked_for_again(
    device: Pi, provider: CredentialProvider, zymkey_iot: Command
) -> None:
    provider.meanwhile = lambda: (device.state / "certificate.pem").write_bytes(
        (device.state / "certificate.pem").read_bytes() + b"\n"
    )
    given(zymkey_iot("credentials"))
    provider.meanwhile = None
    given(zymkey_iot("credentials"))
    assert len(provider.asked) == 2


def test_a_file_that_is_none_of_ours_is_replaced(device: Pi, provider: CredentialProvider, memory: Path) -> None:
    given(device.run("credentials"))
    (kept,) = (memory / "zymkey-iot").glob("*.json")
    for content in ("", "{", "[]", "7", '{"obtained": 0}', '{"obtained": 0, "expires": "x", "files": {}}'):
        kept.write_text(content)
        given(device.run("credentials"))
    assert len(provider.asked) == 7


def test_who_waits_for_too_long_is_told(
    device: Pi, zymkey_iot: Command, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_cache, "PATIENCE", 0.1)
    names: list[str] = []
    original = CredentialCache.__init__

    def remember(self: CredentialCache, *arguments: object) -> None:
        original(self, *arguments)  # type: ignore[arg-type]
        names.append(self._name)

    monkeypatch.setattr(CredentialCache, "__init__", remember)
    given(zymkey_iot("credentials"))
    import fcntl

    with (memory / "zymkey-iot" / f"{names[0]}.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert given(zymkey_iot("credentials"))
        done = zymkey_iot("credentials", "--fresh")
    assert done.returncode == 14
    assert "another zymkey-iot credentials has waited" in done.stderr


def test_what_serves_nobody_any_more_is_removed(device: Pi, memory: Path) -> None:
    folder = memory / "zymkey-iot"
    folder.mkdir(mode=0o700)
    old = folder / "credentials-0123456789abcdef.json"
    old.write_text("{}")
    os.utime(old, (0, 0))
    given(device.run("credentials"))
    assert not old.exists()


def test_a_run_that_finds_them_kept_imports_nothing_of_weight(device: Pi, provider: CredentialProvider) -> None:
    script = (
        "import sys; from device.cli import main; code = main(['credentials']);"
        "print(code, *sys.modules, file=sys.stderr)"
    )
    first, second = (device.python("-c", script).stderr.splitlines()[-1].split() for _ in range(2))
    heavy = {"cryptography", "requests", "urllib3", "ssl", "socket", "pathlib", "dataclasses", "datetime"}

    assert (first[0], second[0]) == ("0", "0")
    assert heavy <= set(first)
    assert not heavy & set(second)
    assert len(provider.asked) == 1
