"""What `pip install .` puts on a Pi: all of the command, and nothing that does not belong there."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from benchmarks.installed import README, documented_names, installed_packages
from benchmarks.wheel import REPOSITORY, UV
from sandbox.zymkey.build import LIBRARY, build
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import EstServer
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


COMMANDS = [
    *("key", "bootstrap", "status", "publish devices/{device}/t 1", "publish devices/{device}/t 1 --tls curl"),
    *("config paho", "explain", "hooks", "doctor"),
]


def test_a_device_with_a_zymkey_needs_the_wheel_and_the_locked_packages_alone(
    installation: Installation, tmp_path: Path
) -> None:
    """All that its everyday commands import is there, what only one kind of key asks for too."""
    library = installation.site_packages / "usr" / "lib"
    library.mkdir(parents=True)
    shutil.copy(build().engines / f"{LIBRARY}.so", library)
    authority = Authority()
    root, server = authority.write_pem(tmp_path / "ca.pem"), authority.write_server(tmp_path, "localhost", "127.0.0.1")
    with DataEndpoint(server, root) as endpoint, EstServer(authority, server, data_port=endpoint.port) as est:
        environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            **SimulatedZymkey(tmp_path / "zymkey").environment(),
            "ENROLLMENT_URL": est.url,
            "CA_BUNDLE": str(root),
            "ZYMKEY_IOT_NAME": "pi-7",
            "ZYMKEY_IOT_STATE": str(tmp_path / "state"),
        }
        for command in COMMANDS:
            done = subprocess.run(
                [installation.folder / "bin" / "zymkey-iot", *command.split()],
                cwd=installation.folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            warnings_alone = 16 if command == "doctor" else 0
            assert done.returncode in (0, warnings_alone), f"{command}\n{done.stdout}{done.stderr}"
    assert [message.topic for message in endpoint.published[:3]] == [
        "devices/pi-7/bootstrap",
        "devices/pi-7/t",
        "devices/pi-7/t",
    ]


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
