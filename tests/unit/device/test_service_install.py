"""What `service install` finds out, refuses, writes into the units and proves: for paths as people have them."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from device.errors import StorageError, UsageError
from device.service import installation
from device.service.access import Account, closed_to
from device.service.command import visible_command
from device.service.unit_files import BOOTSTRAP, FOLDERS, PROOF, RENEW, Service, files
from device.service.unit_files import proof as proof_unit
from device.settings import DEFAULT_ON_RENEW, DEFAULT_STATE
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

URL = "https://abc.execute-api.eu-central-1.amazonaws.com"
UNITS = "etc/systemd/system"
SERVICE_UID = 998
ODD = 'my "st\'ate" $HOME ${PATH} 100%h \\x é;#*[?'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of another system, with a systemd that does nothing, and its user already made."""
    root, programs = tmp_path / "system", tmp_path / "bin"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text(
        f"root:x:0:0:root:/root:/bin/sh\nzymkey-iot:x:{SERVICE_UID}:{SERVICE_UID}::/:/no\n"
    )
    (root / "etc/group").write_text("zymbit:x:3:zymkey-iot\ni2c:x:1:\n")
    programs.mkdir()
    for name in ("systemctl", "systemd-sysusers", "systemd-tmpfiles"):
        (programs / name).write_text("#!/bin/sh\nexit 0\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return root


@pytest.fixture
def install(pi: Pi, root: Path, zymkey_iot: Command) -> Command:
    """`service install --root` with options and variables, and without this device's settings."""
    pi.environment.clear()

    def run(*options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        command = ["--command", "/bin/true"] if "--command" not in options else []
        return zymkey_iot("service", "install", "--root", str(root), *command, *options, **variables)

    return run


def settings_file(root: Path, text: str, *, card: bool = False) -> Path:
    path = root / ("boot/firmware/zymkey-iot.toml" if card else "etc/zymkey-iot.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def unit(root: Path, name: str = RENEW) -> list[str]:
    return (root / UNITS / name).read_text().splitlines()


def described(state: Path = DEFAULT_STATE, key: str | None = None, command: str = "/bin/true") -> Service:
    return Service(command=Path(command), groups=[], state=state, key=key, on_renew=DEFAULT_ON_RENEW)


def test_the_other_systems_settings_are_rendered_and_not_this_machines(root: Path, install: Command) -> None:
    settings_file(root, f'url = "{URL}"\nstate = "/data/device"\nkey = "zymkey:slot=1"\non-renew = "/data/hooks"\n')

    done = install()

    assert done.returncode == 0, done.stderr
    for name in (BOOTSTRAP, RENEW):
        lines = unit(root, name)
        assert 'Environment="ZYMKEY_IOT_STATE=/data/device"' in lines
        assert 'Environment="ZYMKEY_IOT_KEY=zymkey:slot=1"' in lines
        assert 'Environment="ZYMKEY_IOT_ON_RENEW=/data/hooks"' in lines
        assert 'ReadWritePaths="/data/device"' in lines
        assert 'RequiresMountsFor="/data/device"' in lines
        assert not any(line.startswith("StateDirectory") for line in lines)
    assert "ConditionPathExists=!/data/device/certificate.pem" in unit(root, BOOTSTRAP)
    assert "ConditionPathExists=/data/device/device.json" in unit(root, RENEW)
    assert 'd "/data/device" 0700 zymkey-iot zymkey-iot -' in (root / FOLDERS.relative_to("/")).read_text()
    assert (root / "data/hooks").is_dir()
    assert "kept       /data/device" in installed_then_removed(root, install)


def installed_then_removed(root: Path, install: Command) -> str:
    said: list[str] = []
    installation.uninstall(root=root, say=said.append)
    return "\n".join(said)


def test_options_and_variables_win_and_a_state_below_var_lib_is_made_by_systemd(root: Path, install: Command) -> None:
    settings_file(root, f'url = "{URL}"\nkey = "zymkey:slot=1"\n', card=True)

    done = install("--state", "/var/lib/fleet/pi 7", ZYMKEY_IOT_KEY="zymkey:slot=2")

    assert done.returncode == 0, done.stderr
    assert 'StateDirectory="fleet/pi 7"' in unit(root)
    assert 'Environment="ZYMKEY_IOT_KEY=zymkey:slot=2"' in unit(root)
    assert not (root / FOLDERS.relative_to("/")).exists()


def test_a_key_of_the_last_bootstrap_is_left_to_device_json(root: Path, install: Command) -> None:
    """So that a later bootstrap with another key needs no other units."""
    state = root / "var/lib/zymkey-iot"
    state.mkdir(parents=True)
    (state / "device.json").write_text(json.dumps({"url": URL, "name": "pi-7", "key": "pkcs11:token=fleet"}))

    assert install().returncode == 0
    assert not any("ZYMKEY_IOT_KEY" in line for line in unit(root))


def test_the_units_of_a_device_that_works_do_not_get_the_key_of_the_card(root: Path, install: Command) -> None:
    """As for a renewal: the card moves such a device in a bootstrap alone."""
    state = root / "var/lib/zymkey-iot"
    state.mkdir(parents=True)
    (state / "device.json").write_text(json.dumps({"url": URL, "name": "pi-7", "key": "zymkey:slot=1"}))
    settings_file(root, 'key = "zymkey:slot=3"\n', card=True)

    done = install()

    assert (done.returncode, "has key = zymkey:slot=3" in done.stderr) == (0, True), done
    assert not any("ZYMKEY_IOT_KEY" in line for line in unit(root))


def test_an_install_with_another_state_folder_leaves_nothing_of_the_earlier(root: Path, install: Command) -> None:
    settings_file(root, f'url = "{URL}"\n')
    assert install("--state", "/data/device").returncode == 0
    assert install().returncode == 0
    assert not (root / FOLDERS.relative_to("/")).exists()
    assert 'Environment="ZYMKEY_IOT_STATE=/var/lib/zymkey-iot"' in unit(root)


def test_without_a_url_that_the_service_would_find_nothing_is_installed(root: Path, install: Command) -> None:
    for variables in ({}, {"ENROLLMENT_URL": URL}):
        done = install(**variables)
        assert (done.returncode, "no enrollment URL" in done.stderr) == (2, True), done.stderr
        assert "/etc/zymkey-iot.toml" in done.stderr
        assert ("ENROLLMENT_URL of this shell is not the service's" in done.stderr) == bool(variables)
    assert not (root / UNITS).exists()


def test_variables_that_the_service_does_not_have_are_named(root: Path, install: Command) -> None:
    settings_file(root, f'url = "{URL}"\n')
    done = install(CA_BUNDLE="/root/ca.pem", ZYMKEY_IOT_TOKEN="hidden")
    assert "CA_BUNDLE of this shell is not the service's: write it into /etc/zymkey-iot.toml" in done.stdout
    assert "hidden" not in done.stdout


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--state", "/home/pi/state"], "the state folder /home/pi/state"),
        (["--key", "file:/root/key.pem"], "the key /root/key.pem"),
        (["--key", "pkcs11:token=a?pin-source=file:/home/pi/pin"], "the PIN file /home/pi/pin"),
        (["--key", "engine:pkcs11:token=a?pin-source=/home/pi/pin"], "the PIN file /home/pi/pin"),
    ],
)
def test_what_is_in_a_home_the_service_cannot_see(root: Path, install: Command, options: list[str], what: str) -> None:
    settings_file(root, f'url = "{URL}"\n')
    done = install(*options)
    assert (done.returncode, f"{what} is in a user's home folder" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("options", "because"),
    [
        (["--state", "/data/two\nlines"], "a control character"),
        (["--key", "file:/data/\x1b[2J"], "a control character"),
        (["--state", "/data/\udcff"], "a unit of systemd cannot have"),
    ],
)
def test_what_no_unit_can_hold_is_refused(root: Path, install: Command, options: list[str], because: str) -> None:
    settings_file(root, f'url = "{URL}"\n')
    done = install(*options)
    assert (done.returncode, because in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("name", ['my "zymkey"', "it's", "back\\slash"])
def test_a_program_that_systemd_would_not_start_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no program with a quote or a backslash"):
        files(described(command=f"/opt/{name}/zymkey-iot"))


@pytest.mark.parametrize("state", [f"/var/lib/{ODD}", f"/srv/{ODD}", "/var/lib/my $HOME 100%h é;#*[?/pi 7"])
def test_systemd_finds_no_fault_in_units_with_odd_paths(tmp_path: Path, state: str) -> None:
    program = tmp_path / "my $HOME ${PATH} 100%h é;#" / "zymkey-iot"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    service = described(Path(state), f"file:{state}/key.pem", str(program))
    rendered = {path.name: text for path, text in files(service).items() if path.suffix in (".service", ".timer")}
    rendered[PROOF] = proof_unit(service, Path("/run/systemd/proof.json"))
    paths = []
    for name, text in rendered.items():
        paths.append(tmp_path / name)
        paths[-1].write_text(text)

    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    doubled = state.replace("%", "%%")
    escaped = doubled.replace("\\", "\\\\").replace('"', '\\"')
    for name in (BOOTSTRAP, RENEW, PROOF):
        lines = rendered[name].splitlines()
        assert f'Environment="ZYMKEY_IOT_STATE={escaped}"' in lines
        assert f'RequiresMountsFor="{escaped}"' in lines
    assert f"ConditionPathExists={doubled}/device.json" in rendered[RENEW].splitlines()


def test_the_folder_elsewhere_is_made_by_systemds_own_tool_and_names_no_pattern(tmp_path: Path) -> None:
    state, neighbour = tmp_path / ODD, tmp_path / ODD.replace("*[?", "abc")
    neighbour.mkdir()
    text = files(described(state))[FOLDERS].replace(" zymkey-iot zymkey-iot ", f" {os.getuid()} {os.getgid()} ")
    text = text.replace(f"- {os.getuid()}", f"0750 {os.getuid()}")  # so that what Z names can be seen
    (tmp_path / "folders.conf").write_text(text)

    done = subprocess.run(
        ["systemd-tmpfiles", "--create", tmp_path / "folders.conf"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(state.stat().st_mode) == 0o750
    assert stat.S_IMODE(neighbour.stat().st_mode) == 0o755


def test_modes_are_a_systems_whatever_the_umask(root: Path, install: Command) -> None:
    settings_file(root, f'url = "{URL}"\n')
    before = os.umask(0o077)
    try:
        assert install("--state", "/data/device").returncode == 0
        assert os.umask(0o077) == 0o077, "the umask is as it was"
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode)
        for place in ("etc/zymkey-iot", "etc/systemd", "etc/sysusers.d", "etc/tmpfiles.d")
        for path in [root / place, *(root / place).rglob("*")]
    }
    assert "etc/zymkey-iot/on-renew.d" in modes
    assert {mode for path, mode in modes.items() if (root / path).is_dir()} == {0o755}
    assert {mode for path, mode in modes.items() if (root / path).is_file()} == {0o644}


def test_what_is_there_already_and_closed_to_the_service_is_named_with_the_command(
    root: Path, install: Command
) -> None:
    settings_file(root, f'url = "{URL}"\ntoken = "secret"\n').chmod(0o600)
    (root / "etc/zymkey-iot").mkdir(mode=0o700)
    (root / "etc/zymkey-iot/pin").touch(0o600)

    said = install("--key", "pkcs11:token=a?pin-source=file:/etc/zymkey-iot/pin").stdout
    assert "let the service read /etc/zymkey-iot: sudo chmod a+rx '/etc/zymkey-iot'" in said
    assert "sudo chgrp zymkey-iot '/etc/zymkey-iot.toml' && sudo chmod 640 '/etc/zymkey-iot.toml'" in said

    (root / "etc/zymkey-iot").chmod(0o755)
    (root / "etc/zymkey-iot.toml").chmod(0o644)
    said = install("--key", "pkcs11:token=a?pin-source=file:/etc/zymkey-iot/pin").stdout
    assert "let the service read /etc/zymkey-iot/pin" in said
    (root / "etc/zymkey-iot/pin").chmod(0o644)
    assert "let the service read" not in install("--key", "pkcs11:token=a?pin-source=file:/etc/zymkey-iot/pin").stdout


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "closed"),
    [
        (SERVICE_UID, 0, 0o400, False),
        (SERVICE_UID, 0, 0o044, True),
        (0, 3, 0o040, False),
        (0, 3, 0o604, True),
        (0, 0, 0o604, False),
        (0, 0, 0o660, True),
    ],
)
def test_who_may_read_is_decided_as_the_kernel_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, gid: int, mode: int, closed: bool
) -> None:
    status = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))
    monkeypatch.setattr(Path, "stat", lambda self: status)
    found = closed_to(Account(SERVICE_UID, frozenset({3})), Path("/file"), Path("/"))
    assert found == (Path("/file") if closed else None)


def test_a_path_that_this_user_may_not_look_at_is_no_defect(root: Path) -> None:
    """What the kernel says of a name that is too long, Python passes on as it does EACCES, which root never sees."""
    closed = Path("/", "x" * 300)
    with pytest.raises(UsageError, match="is not a program"):
        visible_command(closed)
    with pytest.raises(UsageError, match="is not a folder"):
        installation.check_rights(closed)
    with pytest.raises(StorageError):
        installation.status(root=closed)


def test_where_systemd_does_not_run_an_install_says_that_it_could_not_prove_the_key(
    root: Path, install: Command
) -> None:
    settings_file(root, f'url = "{URL}"\n')
    assert "not proved that the service reaches it" in install().stdout
