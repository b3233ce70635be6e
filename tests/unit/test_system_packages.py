"""bin/system-packages on machines that lack something: what it says, and what it runs."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Machine:
    """A machine whose PATH is one folder of scripts. To begin with, root is at work and nothing is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bash").symlink_to(shutil.which("bash") or "")
        self.has("id", "echo 0")
        self.has("python3", "exit 0")
        self.has("node", "echo v24.1.0")
        for command in ("npm", "gcc", "apt-get"):
            self.has(command, "exit 0")

    def has(self, command: str, script: str) -> None:
        path = self.folder / command
        path.write_text(f'#!{self.folder}/bash\necho {command} "$@" >>{self.folder}/ran\n{script}\n')
        path.chmod(0o755)

    def lacks(self, *commands: str) -> None:
        for command in commands:
            (self.folder / command).unlink()

    def is_used_by_an_ordinary_account(self) -> None:
        self.has("id", "echo 1000")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        script = ROOT / "bin/system-packages"
        environment = {"PATH": str(self.folder)}
        return subprocess.run([script, *arguments], env=environment, capture_output=True, text=True, check=False)

    def ran(self, command: str) -> list[str]:
        lines = (self.folder / "ran").read_text().splitlines()
        return [line for line in lines if line.startswith(f"{command} ")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_with_everything_is_left_alone(machine: Machine) -> None:
    done = machine.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "Nothing is missing.\n", "")
    assert machine.ran("apt-get") == []


def test_root_installs_what_is_missing(machine: Machine) -> None:
    machine.lacks("gcc")
    done = machine.run()
    assert done.returncode == 0
    assert "Missing: gcc libc6-dev libssl-dev\n" in done.stdout
    install = "apt-get install -y -qq --no-install-recommends gcc libc6-dev libssl-dev"
    assert machine.ran("apt-get") == ["apt-get update -qq", install]


def test_sudo_installs_for_an_ordinary_account(machine: Machine) -> None:
    machine.is_used_by_an_ordinary_account()
    machine.lacks("gcc")
    machine.has("sudo", '"$@"')
    done = machine.run()
    assert done.returncode == 0
    assert len(machine.ran("sudo apt-get")) == 2
    assert done.stdout.endswith("Installed.\n")


@pytest.mark.parametrize("sudo", [None, "exit 1"], ids=["no sudo", "not allowed to use sudo"])
def test_an_account_without_sudo_gets_the_command_for_the_administrator(machine: Machine, sudo: str | None) -> None:
    machine.is_used_by_an_ordinary_account()
    machine.lacks("gcc")
    if sudo is not None:
        machine.has("sudo", sudo)
    done = machine.run()
    assert done.returncode == 1
    command = "apt-get update && apt-get install --no-install-recommends gcc libc6-dev libssl-dev"
    assert f"An administrator of this machine types, in a root shell:\n  {command}\n" in done.stderr
    assert machine.ran("apt-get") == []


def test_what_only_the_tests_need_is_not_asked_for_by_a_demonstration(machine: Machine) -> None:
    machine.is_used_by_an_ordinary_account()
    assert machine.run().returncode == 0
    done = machine.run("tests")
    assert done.returncode == 1
    assert "softhsm2" in done.stderr
    assert "strongswan-pki" in done.stderr


def test_another_system_is_told_what_is_missing(machine: Machine) -> None:
    machine.lacks("gcc", "apt-get")
    done = machine.run()
    assert done.returncode == 1
    assert "Missing: gcc libc6-dev libssl-dev\n" in done.stdout
    assert "This is not Debian or Ubuntu" in done.stderr


def test_an_old_python_is_named_with_the_way_out(machine: Machine) -> None:
    machine.has("python3", '[ "$1" = --version ] && echo Python 3.10.12 && exit\nexit 1')
    done = machine.run()
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed; here, as python3, is Python 3.10.12." in done.stderr
    assert "make setup PYTHON=python3.12" in done.stderr


@pytest.mark.parametrize("version", ["v22.20.0", "v24.19.0"])
def test_a_recommended_node_is_not_mentioned(machine: Machine, version: str) -> None:
    machine.has("node", f"echo {version}")
    done = machine.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "Nothing is missing.\n", "")


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("v20.20.2", "Node 20 works, but is out of support: it gets no security fixes."),
        ("v23.1.0", "Node 23 is not tested with this project."),
    ],
)
def test_another_node_is_told_in_one_line_and_used(machine: Machine, version: str, sentence: str) -> None:
    machine.has("node", f"echo {version}")
    done = machine.run()
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if "Node" in line]
    assert line == f"{sentence} Node 22 or 24 is recommended: https://nodejs.org/en/download"


@pytest.mark.parametrize("script", [None, "echo v18.19.0", "echo v8.17.0"])
def test_no_node_or_one_that_is_too_old_is_an_error(machine: Machine, script: str | None) -> None:
    machine.lacks("node")
    if script is not None:
        machine.has("node", script)
    done = machine.run()
    assert done.returncode == 1
    assert "Node 22 or 24 is recommended" in done.stderr


def test_node_without_npm_is_an_error(machine: Machine) -> None:
    machine.lacks("npm")
    done = machine.run()
    assert done.returncode == 1
    assert "npm, which belongs to Node, is missing." in done.stderr
