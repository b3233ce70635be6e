"""`zymkey-iot service`: systemd's own tools judge the units, and the command works under what they forbid."""

import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from device.errors import UsageError
from device.service import installation
from device.service.command import visible_command
from device.service.unit_files import BOOTSTRAP, ENABLED, RENEW, TIMER, Service, files, groups_for
from device.settings import DEFAULT_ON_RENEW, DEFAULT_STATE, load
from tests.support.device.pi import REPOSITORY, Pi

MOST_EXPOSURE = 3.0
URL = "https://abc.execute-api.eu-central-1.amazonaws.com"
ON_A_PI = ["root", "i2c", "gpio", "zymbit", "zk_pkcs11"]


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """A zymkey-iot where the service may see it."""
    path = tmp_path / "bin" / "zymkey-iot"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\ncd {REPOSITORY} && exec {sys.executable} -m device "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files of a system that is being prepared."""
    etc = tmp_path / "system" / "etc"
    etc.mkdir(parents=True)
    (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (etc / "group").write_text("".join(f"{name}:x:{number}:\n" for number, name in enumerate(ON_A_PI)))
    (etc / "zymkey-iot.toml").write_text(f'url = "{URL}"\n')
    return etc.parent


def service(action: str, root: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "device", "service", action, "--root", root, *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_install_makes_user_units_and_the_hooks_folder_and_enables_the_units(root: Path, command: Path) -> None:
    done = service("install", root, "--command", command)

    assert done.returncode == 0, done.stderr
    units = root / "etc/systemd/system"
    assert f'ExecStart="{command}" bootstrap\n' in (units / BOOTSTRAP).read_text()
    assert f'ExecStart="{command}" renew --if-due\n' in (units / RENEW).read_text()
    assert (units / "multi-user.target.wants" / BOOTSTRAP).is_symlink()
    assert (units / "timers.target.wants" / TIMER).is_symlink()
    assert (root / "etc/zymkey-iot/on-renew.d").is_dir()
    assert "\nzymkey-iot:" in (root / "etc/passwd").read_text()
    assert "zymbit:x:3:zymkey-iot\n" in (root / "etc/group").read_text()
    assert "i2c:x:1:\n" in (root / "etc/group").read_text()
    assert "later      they start at the next boot of that system" in done.stdout


def test_a_second_install_changes_nothing(root: Path, command: Path) -> None:
    service("install", root, "--command", command)
    for passwords in (root / "etc").glob("*shadow"):
        passwords.chmod(0o600)  # systemd-sysusers makes them with mode 0, and only root reads them again
    second = service("install", root, "--command", command)

    assert second.returncode == 0, second.stderr
    assert "wrote" not in second.stdout
    assert second.stdout.count("unchanged") == 4


def test_uninstall_leaves_nothing_but_what_it_says(root: Path, command: Path) -> None:
    service("install", root, "--command", command)
    done = service("uninstall", root)

    assert done.returncode == 0, done.stderr
    left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or path.is_file()}
    assert [path for path in left if "zymkey-iot" in path] == ["etc/zymkey-iot.toml"]
    assert "kept       /var/lib/zymkey-iot" in done.stdout
    assert service("uninstall", root).stdout == "the service is not installed\n"


def test_status_tells_what_is_installed(root: Path, command: Path) -> None:
    before = service("status", root)
    service("install", root, "--command", command)
    after = service("status", root, "--json")

    assert (before.returncode, after.returncode) == (2, 0)
    assert "service install" in before.stdout
    units = {unit["name"]: unit for unit in json.loads(after.stdout)["units"]}
    assert all(unit["installed"] for unit in units.values())
    assert all(units[name]["enabled"] for name in ENABLED)


def described(command: Path, state: Path = DEFAULT_STATE, key: str | None = None) -> Service:
    return Service(command=command, groups=[], state=state, key=key, on_renew=DEFAULT_ON_RENEW)


@pytest.fixture
def units(tmp_path: Path, command: Path) -> list[Path]:
    """The units as they are installed, in a folder."""
    paths = []
    for path, text in files(described(command)).items():
        if path.suffix in (".service", ".timer"):
            paths.append(tmp_path / path.name)
            paths[-1].write_text(text)
    return paths


def test_systemd_finds_no_fault_in_the_units(units: list[Path]) -> None:
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", [BOOTSTRAP, RENEW])
def test_the_services_are_hardened(units: list[Path], name: str) -> None:
    (unit,) = [path for path in units if path.name == name]
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=True,
    )
    exposure = re.search(rf"exposure level for {name}: ([0-9.]+)", done.stdout)

    assert exposure
    assert float(exposure.group(1)) < MOST_EXPOSURE


@pytest.mark.parametrize(
    ("key", "groups", "existing"),
    [
        ("zymkey:", ["zymbit"], ON_A_PI),
        ("engine:zymkey_ssl:slot=1", ["zymbit"], ON_A_PI),
        ("zymkey:", ["i2c", "gpio"], ["root", "i2c", "gpio"]),
        ("zymkey:", [], ["root"]),
        ("pkcs11:token=zymkey", ["zk_pkcs11"], ON_A_PI),
        ("engine:pkcs11:token=zymkey", ["zk_pkcs11"], ON_A_PI),
        ("file:", [], ON_A_PI),
    ],
)
def test_the_user_is_in_no_group_that_the_key_does_not_need(key: str, groups: list[str], existing: list[str]) -> None:
    assert groups_for(key, existing) == groups


def test_a_group_can_be_named_instead(root: Path, command: Path) -> None:
    done = service("install", root, "--command", command, "--group", "gpio")

    assert done.returncode == 0, done.stderr
    assert "gpio:x:2:zymkey-iot\n" in (root / "etc/group").read_text()
    assert "zymbit:x:3:\n" in (root / "etc/group").read_text()


def test_only_root_installs_on_the_running_system(command: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="only root can install") as refused:
        installation.install(described(command), load(Namespace()), root=Path("/"), say=print)
    assert "sudo" in refused.value.cure


@pytest.mark.parametrize("path", ["/home/pi/venv/bin/zymkey-iot", "/root/bin/zymkey-iot"])
def test_a_command_that_the_service_could_not_see_is_refused(
    path: str, command: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "resolve", lambda self: Path(path))
    with pytest.raises(UsageError, match="a user's home folder"):
        visible_command(command)


# Who leaves the hooks to root: a process that is neither root nor the owner of their folder.
AS_ANOTHER_USER = (
    "import os, sys; os.geteuid = lambda: 54321; from device.cli import main; sys.exit(main(sys.argv[1:]))"
)


def test_a_users_renewal_leaves_the_hooks_to_their_owner(pi: Pi, tmp_path: Path) -> None:
    hooks, ran = tmp_path / "on-renew.d", tmp_path / "ran"
    hooks.mkdir()
    (hooks / "10-restart").write_text(f'#!/bin/sh\necho "$ZYMKEY_IOT_CERTIFICATE" >> {ran}\n')
    (hooks / "10-restart").chmod(0o755)
    pi.environment["ZYMKEY_IOT_ON_RENEW"] = str(hooks)

    bootstrapped = pi.python("-c", AS_ANOTHER_USER, "bootstrap")
    before = ran.exists()
    first, second = pi.run("hooks"), pi.run("hooks")

    assert bootstrapped.returncode == 0, bootstrapped.stderr
    assert "has to run its hooks: sudo zymkey-iot hooks" in bootstrapped.stdout
    assert not before
    assert first.stdout.endswith("The hooks have run.\n")
    assert second.stdout == "Nothing to do: no hook has to run.\n"
    assert ran.read_text() == f"{pi.state / 'certificate.pem'}\n"


def test_the_command_works_where_no_memory_can_be_made_executable(zymkey_pi: Pi, tmp_path: Path) -> None:
    """MemoryDenyWriteExecute, while OpenSSL calls Python for each signature."""
    confined = tmp_path / "no_new_code"
    source = REPOSITORY / "tests" / "support" / "device" / "no_new_code.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", confined, source], check=True)

    done = subprocess.run(
        [confined, sys.executable, "-m", "device", "bootstrap"],
        cwd=REPOSITORY,
        env={**os.environ, **zymkey_pi.environment},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "The key signed 2 times" in done.stdout


@pytest.mark.parametrize("key", ["zymkey:", "engine:zymkey_ssl"])
def test_the_command_makes_no_system_call_that_the_units_forbid(zymkey_pi: Pi, tmp_path: Path, key: str) -> None:
    """Neither in its own process nor, with an engine's key, in those of openssl and curl."""
    calls = tmp_path / "calls"
    done = subprocess.run(
        [
            *("strace", "-f", "-qq", "-c", "-S", "name", "-o", calls),
            *(sys.executable, "-c", AS_ANOTHER_USER, "bootstrap", "--key", key),
        ],
        cwd=REPOSITORY,
        env={**os.environ, **zymkey_pi.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = set(re.findall(r"^ *\d.* ([a-z_][a-z_0-9]*)$", calls.read_text(), re.MULTILINE)) - {"total"}

    allowed = system_calls("@system-service") - system_calls("@privileged") - system_calls("@resources")

    assert {"connect", "openat", "fsync"} <= made
    assert made - allowed == set()


def system_calls(group: str) -> set[str]:
    """The members of one of systemd's groups, as this systemd knows them."""
    listing = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    members = [line.strip() for line in listing.stdout.splitlines()[1:] if line.strip() and "#" not in line]
    return {call for each in members for call in (system_calls(each) if each.startswith("@") else {each})}
