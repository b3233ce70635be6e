"""What `pip install .` puts on a Pi: all of the command, and nothing that does not belong there."""

import json
import subprocess
import zipfile

import pytest

from benchmarks.installed import README, documented_names, installed_packages
from benchmarks.wheel import REPOSITORY, UV
from tests.support.installation import LOCKED, PYTHONS, Installation

# Imports every module of the package, so that one that was left out of the wheel, or a package, shows.
IMPORT_ALL = """
import importlib, json, pkgutil, zymkey_iot
names = [module.name for module in pkgutil.walk_packages(zymkey_iot.__path__, "zymkey_iot.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(json.dumps(names))
"""


def test_the_command_works_from_the_wheel(installation: Installation) -> None:
    command = installation.folder / "bin" / "zymkey-iot"

    version, help_text = installation.run(command, "--version"), installation.run(command, "--help")

    assert (version.returncode, version.stdout) == (0, "zymkey-iot 0.1.0\n"), version.stderr
    assert help_text.stdout.startswith("usage: zymkey-iot COMMAND")


def test_the_wheel_holds_every_file_of_the_device(wheel) -> None:
    folder = REPOSITORY / "device"
    sources = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}

    with zipfile.ZipFile(wheel) as archive:
        packed = {name.removeprefix("zymkey_iot/") for name in archive.namelist() if name.startswith("zymkey_iot/")}

    assert packed == {str(path) for path in sources}


def test_every_module_imports_with_the_locked_packages_alone(installation: Installation) -> None:
    done = installation.run(installation.python, "-c", IMPORT_ALL)

    assert done.returncode == 0, done.stderr
    assert {"zymkey_iot.bootstrap", "zymkey_iot.keys.zymkey", "zymkey_iot.commands.publish"} <= set(
        json.loads(done.stdout)
    )


def test_the_locked_packages_are_all_that_the_wheel_asks_for(installation: Installation) -> None:
    done = subprocess.run(
        [UV, "pip", "check", "--python", installation.python], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_is_installed_is_what_is_documented(installation: Installation) -> None:
    installed = {package.name for package in installed_packages(installation.site_packages)}

    assert installed == documented_names(README.read_text()), "renew it: python -m benchmarks.installed"
    assert not {name for name in installed if name.startswith(("boto", "aws", "jsii", "constructs", "ministack"))}


@pytest.mark.parametrize("version", PYTHONS)
def test_a_64_bit_pi_needs_no_compiler_either(version: str, tmp_path) -> None:
    done = subprocess.run(
        [
            *(UV, "pip", "install", "--dry-run", "--target", tmp_path / "pi", "--python", PYTHONS[version]),
            *("--python-version", version, "--python-platform", "aarch64-manylinux_2_36"),
            *(*LOCKED, "-r", REPOSITORY / "requirements" / "device.txt"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "+ cryptography==" in done.stderr
