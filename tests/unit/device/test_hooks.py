"""The hooks in on-renew.d: which of them run, what is said of the others, and that none stops anything."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from device.hooks import without_secrets
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

HOOK_FAILED, NOT_DUE, REFUSED = 15, 13, 6
NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "on-renew.d"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture
def due(pi: Pi, est: EstServer, folder: Path, zymkey_iot: Command) -> Pi:
    """A device at nine tenths of its certificate's life; the cloud will issue a fresh one."""
    pi.environment["ZYMKEY_IOT_ON_RENEW"] = str(folder)
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert zymkey_iot("bootstrap").returncode == 0
    est.issued.clear()
    est.valid_since = timedelta(0)
    return pi


def write(folder: Path, name: str, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


def link(folder: Path) -> Path:
    (folder / "10-bad").symlink_to("/no/such/hook")
    return folder / "10-bad"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "fails": (lambda folder: write(folder, "10-bad", "#!/bin/sh\nexit 4\n"), "ended with 4"),
    "a link to nothing": (link, "it is a link to /no/such/hook, where nothing is"),
    "CRLF": (lambda folder: write(folder, "10-bad", "#!/bin/sh\r\nexit 0\r\n"), r"sudo sed -i 's/\r$//'"),
    "a byte order mark": (lambda folder: write(folder, "10-bad", "\ufeff#!/bin/sh\n"), "byte order mark"),
    "no interpreter": (lambda folder: write(folder, "10-bad", "#!/opt/python9\n"), "needs /opt/python9"),
    "no first line": (lambda folder: write(folder, "10-bad", "exit 0\n"), "did not start (Exec format error)"),
    "anybody can write it": (lambda folder: write(folder, "10-bad", mode=0o777), "other users can write"),
}


@pytest.mark.parametrize("kind", BAD)
def test_one_bad_hook_is_named_and_stops_neither_the_others_nor_any_renewal(
    due: Pi, est: EstServer, folder: Path, tmp_path: Path, zymkey_iot: Command, kind: str
) -> None:
    make, sentence = BAD[kind]
    bad = make(folder)
    told = tmp_path / "told"
    write(folder, "20-good", f'#!/bin/sh\ncp "$ZYMKEY_IOT_CERTIFICATE" {told}\n')
    old = (due.state / "certificate.pem").read_bytes()

    done = zymkey_iot("renew", "--if-due")

    assert done.returncode == HOOK_FAILED
    assert sentence in done.stdout + done.stderr
    assert str(bad) in done.stderr
    first = (due.state / "certificate.pem").read_bytes()
    assert first != old
    assert told.read_bytes() == first

    # It is still bad when the next renewal is due.
    est.issued.clear()
    assert zymkey_iot("renew").returncode == HOOK_FAILED
    second = (due.state / "certificate.pem").read_bytes()
    assert second != first
    assert told.read_bytes() == second

    bad.unlink()
    told.unlink()
    assert zymkey_iot("renew", "--if-due").returncode == NOT_DUE
    assert told.read_bytes() == second
    assert not (due.state / "on-renew.pending").exists()


def test_a_hook_that_waits_is_run_also_when_the_next_renewal_fails(
    due: Pi, est: EstServer, folder: Path, tmp_path: Path, zymkey_iot: Command
) -> None:
    bad = write(folder, "10-bad", "#!/bin/sh\nexit 4\n")
    assert zymkey_iot("renew").returncode == HOOK_FAILED
    write(folder, "20-good", f"#!/bin/sh\ntouch {tmp_path / 'told'}\n")
    est.answers = [Answer(403, b"blocked")]

    done = zymkey_iot("renew")

    assert done.returncode == REFUSED
    assert "blocked" in done.stderr
    assert f"{bad} ended with 4" in done.stdout
    assert (tmp_path / "told").exists()


def test_the_disk_that_keeps_a_hook_waiting_does_not_hide_why_the_renewal_failed(
    due: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    (due.state / "on-renew.pending").mkdir()  # it cannot be removed as a file is
    est.answers = [Answer(403, b"blocked")]

    done = zymkey_iot("renew")

    assert (done.returncode, "blocked" in done.stderr) == (REFUSED, True), done
    assert "on-renew.pending" in done.stdout


def test_leftovers_and_files_that_are_not_executable_are_said_and_are_no_failure(
    due: Pi, folder: Path, zymkey_iot: Command
) -> None:
    left = [write(folder, "10-tell~"), write(folder, "README", mode=0o644), folder / "old"]
    left[-1].mkdir()

    done = zymkey_iot("renew", "--json")

    assert done.returncode == 0, done.stderr
    warnings = json.loads(done.stdout)["warnings"]
    assert all(any(str(path) in warning for warning in warnings) for path in left), warnings
    assert not (due.state / "on-renew.pending").exists()


def test_a_folder_that_cannot_be_read_stops_no_renewal(
    due: Pi, folder: Path, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "10-tell")
    old = (due.state / "certificate.pem").read_bytes()
    iterdir = Path.iterdir

    def refuse(path: Path) -> object:
        if path == folder:
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for module in ("storage", "store"):
        monkeypatch.setattr(f"device.{module}.give_to_owner", lambda *_: None)

    done = zymkey_iot("renew", "--if-due")

    assert done.returncode == HOOK_FAILED
    assert f"{folder} cannot be read (Permission denied)" in done.stderr
    assert (due.state / "certificate.pem").read_bytes() != old

    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    done = zymkey_iot("renew", "--if-due")
    assert done.returncode == NOT_DUE, "the service leaves them to root, whose command comes next"
    assert "sudo zymkey-iot hooks" in done.stdout
    assert (due.state / "on-renew.pending").exists()


def test_hooks_of_another_user_are_left_to_their_owner(
    due: Pi, folder: Path, tmp_path: Path, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "10-tell", f"#!/bin/sh\ntouch {tmp_path / 'told'}\n")
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)

    done = zymkey_iot("renew", "--if-due")

    assert done.returncode == 0
    assert f"the owner of {folder} has to run its hooks: sudo zymkey-iot hooks" in done.stdout
    assert not (tmp_path / "told").exists()
    monkeypatch.undo()
    assert zymkey_iot("hooks").returncode == 0
    assert (tmp_path / "told").exists()


def test_a_file_in_place_of_the_folder_is_said(due: Pi, folder: Path, zymkey_iot: Command) -> None:
    folder.rmdir()
    folder.write_text("")

    done = zymkey_iot("renew", "--if-due")

    assert (done.returncode, "Not a directory" in done.stderr) == (HOOK_FAILED, True)


def test_no_hook_of_a_folder_that_anybody_can_write_is_run(
    due: Pi, folder: Path, tmp_path: Path, zymkey_iot: Command
) -> None:
    write(folder, "10-hook", f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    folder.chmod(0o1777)

    done = zymkey_iot("renew")

    assert done.returncode == HOOK_FAILED
    assert f"no hook in {folder} was run" in done.stderr
    assert f"no hook in {folder} is run, because other users can write {folder}. Try: sudo chmod" in done.stdout
    assert not (tmp_path / "ran").exists()


# What a hook sees

SECRETS = {
    "ZYMKEY_IOT_PIN": "1234",
    "ZYMKEY_IOT_TOKEN": "one-time",
    "ZYMKEY_IOT_TOKEN_FILE": "/root/token",
    "AWS_SECRET_ACCESS_KEY": "abc",
    "AWS_SESSION_TOKEN": "abc",
    "MQTT_PASSWORD": "abc",
    "HTTPS_PROXY": "http://user:secret@proxy.example:3128",
    "https_proxy": "user:secret@proxy.example:3128",
    "ALL_PROXY": "socks5h://user:se/cret@proxy.example",
    "DATABASE_URL": "postgres://user:secret@db.example/x",
}
HARMLESS = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "NO_PROXY": "localhost,10.0.0.0/8",
    "HTTP_PROXY": "http://proxy.example:3128",
    "PINCTRL": "gpio",
    "INVOCATION_ID": "1",
}


def test_no_variable_with_a_secret_reaches_a_hook() -> None:
    assert without_secrets({**SECRETS, **HARMLESS}) == HARMLESS


def test_a_hook_sees_the_paths_and_no_secret(due: Pi, folder: Path, tmp_path: Path, zymkey_iot: Command) -> None:
    seen = tmp_path / "seen"
    write(folder, "10-look", f"#!/bin/sh\nenv > {seen}\n")
    secrets = {name: value for name, value in SECRETS.items() if name.startswith("ZYMKEY_IOT_PIN")}

    assert zymkey_iot("renew", ZYMKEY_IOT_TOKEN="spent", MQTT_PASSWORD="abc", **secrets).returncode == 0

    variables = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert variables["ZYMKEY_IOT_CERTIFICATE"] == str(due.state / "certificate.pem")
    assert variables["ZYMKEY_IOT_NAME"] == "pi-7"
    assert not {"ZYMKEY_IOT_TOKEN", "ZYMKEY_IOT_PIN", "MQTT_PASSWORD"} & set(variables)


def test_a_program_that_a_hook_leaves_running_does_not_hold_up_the_renewal(
    due: Pi, folder: Path, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.hooks.TIMEOUT", 2)
    write(folder, "10-start", "#!/bin/sh\nsleep 4 &\nexit 0\n")

    assert zymkey_iot("renew").returncode == 0


def test_of_all_that_a_hook_says_its_last_line_is_told(due: Pi, folder: Path, zymkey_iot: Command) -> None:
    hook = folder / "talks"
    hook.write_text("#!/bin/sh\nyes | head -c 300000 >&2\necho the reason >&2\nexit 3\n")
    hook.chmod(0o755)

    done = zymkey_iot("renew")

    assert (done.returncode, "ended with 3 (the reason)" in done.stderr) == (15, True), done.stderr[-500:]
