"""doctor's checks of files: who may read and write them, and what room there is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.device.diagnosis import Diagnose
from tests.support.device.pi import REPOSITORY, Pi
from tests.support.device.preload import without_rights


@pytest.fixture
def enrolled(pi: Pi) -> Pi:
    """A device that is well, but for its software key."""
    assert pi.run("bootstrap").returncode == 0
    return pi


@pytest.mark.parametrize(
    ("name", "mode", "status", "cure"),
    [
        ("", 0o755, "warning", "chmod 0700"),
        ("", 0o720, "failed", "chmod 0700"),
        ("key.pem", 0o640, "failed", "chmod 0600"),
        ("certificate.pem", 0o664, "failed", "chmod 0644"),
        ("certificate.pem", 0o600, "ok", ""),
        ("device.json", 0o646, "failed", "chmod 0644"),
        ("device.json", 0o644, "ok", ""),
        ("candidate.json", 0o644, "failed", "chmod 0600"),
    ],
)
def test_what_others_may_write_or_read_is_told_by_its_mode(
    enrolled: Pi, diagnose: Diagnose, name: str, mode: int, status: str, cure: str
) -> None:
    path = enrolled.state / name
    path.touch()
    path.chmod(mode)
    found = diagnose("--only", "file-modes")

    assert (found.status("file-modes"), found.code) == (status, {"ok": 0, "warning": 16, "failed": 11}[status])
    if cure:
        assert found.cure("file-modes") == f"sudo {cure} {path}"
        assert f"mode {mode:04o}" in found.text("file-modes")


def test_files_with_a_token_or_a_pin_must_not_be_read_by_others(pi: Pi, diagnose: Diagnose, tmp_path: Path) -> None:
    token, pin = tmp_path / "token", tmp_path / "pin"
    for path in (token, pin):
        path.write_text("a-secret-word")
        path.chmod(0o604)
    found = diagnose(
        "--only", "file-modes", "--key", f"pkcs11:token=t?pin-source=file:{pin}", ZYMKEY_IOT_TOKEN_FILE=str(token)
    )

    assert found.code == 11
    assert f"other users can read {token}" in found.text("file-modes")
    assert f"other users can read {pin}" in found.text("file-modes")


def test_the_settings_with_a_proxys_password_must_not_be_read_by_others(enrolled: Pi, diagnose: Diagnose) -> None:
    path = enrolled.state / "device.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "proxy": "http://user:secret@127.0.0.1:1"}))
    path.chmod(0o644)

    found = diagnose("--only", "file-modes")

    assert (found.code, found.cure("file-modes")) == (11, f"sudo chmod 0600 {path}")


def test_a_software_key_elsewhere_must_not_be_read_by_others(diagnose: Diagnose, tmp_path: Path) -> None:
    key = tmp_path / "the.key"
    key.touch(mode=0o644)
    found = diagnose("--only", "file-modes", "--key", f"file:{key}")
    assert f"other users can read {key}" in found.text("file-modes")
    assert "a-secret-word" not in str(found.document)


def test_a_state_folder_that_cannot_be_made_is_told_before_a_bootstrap_fails(pi: Pi, tmp_path: Path) -> None:
    parent = tmp_path / "not-ours"
    parent.mkdir(mode=0o555)
    result = subprocess.run(
        [sys.executable, "-m", "device", "doctor", "--only", "disk", "--state", str(parent / "state")],
        cwd=REPOSITORY,
        env={**os.environ, **pi.environment},
        preexec_fn=without_rights,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 11
    assert f"does not exist, and this user cannot make it in {parent}." in result.stdout


def test_a_state_folder_that_is_not_there_yet_is_no_fault(pi: Pi, diagnose: Diagnose) -> None:
    assert "bootstrap makes it" in diagnose("--only", "disk").text("disk")
    assert not pi.state.exists()


def test_a_disk_that_is_nearly_full_is_a_warning(
    enrolled: Pi, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(enrolled.state)
    nearly_full = os.statvfs_result((*real[:1], 4096, *real[2:4], 100, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: nearly_full)
    found = diagnose("--only", "disk")

    assert (found.code, found.status("disk")) == (16, "warning")
    assert "400 KiB are free" in found.text("disk")
