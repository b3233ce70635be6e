"""What the service asks of systemd on a system that runs, with a systemctl that writes down what it is told."""

import json
from pathlib import Path

import pytest

from device.errors import UsageError
from device.service import systemctl
from device.service.command import installed_command
from device.service.systemctl import Systemd
from tests.support.device.in_process import Command, zymkey_iot

__all__ = ["zymkey_iot"]


class FakeSystemctl:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = folder / "said"
        self.answer()

    def answer(self, text: str = "", *, code: int = 0) -> None:
        for name in ("systemctl", "systemd-sysusers"):
            program = self.folder / name
            program.write_text(f"#!/bin/sh\necho {name} \"$@\" >> {self.said}\necho '{text}'\nexit {code}\n")
            program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self.said.read_text().splitlines() if self.said.exists() else []


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemctl:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return FakeSystemctl(folder)


@pytest.fixture
def running(fake: FakeSystemctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """systemd of the system that runs."""
    monkeypatch.setattr(systemctl, "_BOOTED", tmp_path)
    monkeypatch.delenv("SYSTEMD_OFFLINE", raising=False)
    return Systemd(Path("/"))


def test_on_a_running_system_units_are_reloaded_enabled_started_and_stopped(
    running: Systemd, fake: FakeSystemctl
) -> None:
    running.make_users("zymkey-iot.conf")
    running.reload()
    running.enable("a.timer", "b.service")
    running.start("a.timer")
    running.stop("a.timer")
    running.disable("a.timer")

    assert fake.calls == [
        "systemd-sysusers zymkey-iot.conf",
        "systemctl daemon-reload",
        "systemctl --quiet enable a.timer b.service",
        "systemctl --no-block start a.timer",
        "systemctl stop a.timer",
        "systemctl --quiet disable a.timer",
    ]
    fake.answer("active")
    assert running.state("a.timer") == "active"
    fake.answer("enabled")
    assert running.is_enabled("a.timer")


def test_on_a_tree_of_files_nothing_is_started_and_all_else_names_the_tree(fake: FakeSystemctl, tmp_path: Path) -> None:
    prepared = Systemd(tmp_path)
    prepared.reload()
    prepared.start("a.timer")
    prepared.stop("a.timer")
    prepared.enable("a.timer")

    assert fake.calls == [f"systemctl --root={tmp_path} --quiet enable a.timer"]
    assert prepared.state("a.timer") == "not running here"


def test_what_systemd_refuses_is_passed_on_in_its_own_words(running: Systemd, fake: FakeSystemctl) -> None:
    fake.answer("Unit a.timer is masked.", code=1)
    with pytest.raises(UsageError, match=r"systemctl --quiet enable a.timer failed: Unit a.timer is masked\."):
        running.enable("a.timer")


def test_without_systemd_the_user_is_told_what_to_have_started_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as refused:
        Systemd(tmp_path).check_installed()
    assert "zymkey-iot renew" in refused.value.cure


@pytest.fixture
def root(fake: FakeSystemctl, tmp_path: Path) -> Path:
    (tmp_path / "system" / "etc").mkdir(parents=True)
    (tmp_path / "system" / "etc" / "zymkey-iot.toml").write_text('url = "https://abc.example"\n')
    return tmp_path / "system"


def test_a_program_gets_what_was_done_as_json(root: Path, zymkey_iot: Command) -> None:
    done = zymkey_iot("service", "install", "--root", str(root), "--command", "/bin/true", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"]
    assert any(line.startswith("wrote /etc/systemd/system/zymkey-iot-bootstrap.service") for line in document["done"])


def test_a_system_without_the_service_says_how_it_gets_it_and_has_nothing_to_remove(
    root: Path, zymkey_iot: Command
) -> None:
    done = zymkey_iot("service", "status", "--root", str(root))
    assert done.returncode != 0
    assert "sudo zymkey-iot service install" in done.stdout
    assert "the service is not installed" in zymkey_iot("service", "uninstall", "--root", str(root)).stdout


def test_half_an_installation_is_removed_too(root: Path, fake: FakeSystemctl, zymkey_iot: Command) -> None:
    assert zymkey_iot("service", "install", "--root", str(root), "--command", "/bin/true").returncode == 0
    for name in ("zymkey-iot-bootstrap.service", "zymkey-iot-renew.timer"):
        (root / "etc/systemd/system" / name).unlink()
    enabled = len(fake.calls)

    done = zymkey_iot("service", "uninstall", "--root", str(root))

    assert done.returncode == 0, done.stderr
    assert not list((root / "etc/systemd/system").glob("zymkey-iot*"))
    assert fake.calls[enabled:] == [], "what is not there cannot be disabled"


def test_a_root_that_is_no_folder_and_a_command_that_is_no_program_are_wrong_use(
    fake: FakeSystemctl, root: Path, zymkey_iot: Command, tmp_path: Path
) -> None:
    done = zymkey_iot("service", "install", "--root", str(tmp_path / "nowhere"), "--command", "/bin/true")
    assert (done.returncode, "--root" in done.stderr) == (2, True)
    text = tmp_path / "no-program"
    text.touch(mode=0o644)
    done = zymkey_iot("service", "install", "--root", str(root), "--command", str(text))
    assert (done.returncode, "--command" in done.stderr) == (2, True)


def test_the_service_runs_the_command_that_stands_beside_this_python_or_is_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program(folder: str) -> Path:
        path = tmp_path / folder / "zymkey-iot"
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return path

    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr("sys.executable", str(tmp_path / "beside" / "python"))
    with pytest.raises(UsageError, match="not installed"):
        installed_command()
    on_the_path = program("path")
    assert installed_command() == on_the_path
    beside = program("beside")
    assert installed_command() == beside
