"""Virtual environments as a user makes them: ``python -m venv``, then pip, which compiles what it installs.

To run from a checkout would measure something else: modules without bytecode, and a shell script first.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from .wheel import REPOSITORY, build_wheel

INSTALLATIONS = REPOSITORY / "build" / "benchmarks" / "installed"


def device_installation() -> Path:
    """The folder ``bin`` of a Python with zymkey-iot from this checkout and its locked packages."""
    environment = _installed("device", REPOSITORY / "requirements" / "device.txt", "--no-binary", "cmdline")
    _pip(environment, "--no-deps", "--force-reinstall", build_wheel(INSTALLATIONS))
    return environment / "bin"


def boto3_installation() -> Path:
    """The folder ``bin`` of a Python with boto3 and cryptography, and nothing else."""
    return _installed("boto3", REPOSITORY / "requirements" / "boto3.txt") / "bin"


def boto3_packages() -> Path:
    """The folder of the same packages, with bytecode that Python takes as it is, as the functions' bundle has it."""
    python = boto3_installation() / "python"
    (site_packages,) = (python.parents[1] / "lib").glob("python*/site-packages")
    compiling = ("-m", "compileall", "-q", "-f", "-j", "0", "--invalidation-mode", "unchecked-hash")
    command: list[str | Path] = [python, *compiling, site_packages]
    subprocess.run(command, capture_output=True, check=False)  # a package may hold files that do not compile
    return site_packages


def recipe_installation() -> Path:
    """The folder ``bin`` of a Python with the packages that the vendor's scripts import."""
    return _installed("recipe", REPOSITORY / "requirements" / "recipe.txt") / "bin"


def install_simulated_zymkey(binaries: Path, library: Path) -> None:
    """Copy the library to where the vendor's module looks for it: under that Python's site-packages."""
    (site_packages,) = (binaries.parent / "lib").glob("python*/site-packages")
    target = site_packages / "usr" / "lib" / library.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(library, target)


def _installed(name: str, requirements: Path, *options: str) -> Path:
    """A virtual environment of ``requirements``, made again when they have changed."""
    environment = INSTALLATIONS / name
    digest = hashlib.sha256(f"{sys.version} {options}".encode() + requirements.read_bytes()).hexdigest()
    stamp = environment / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == digest:
        return environment
    print(f"Installing {requirements.name} into {environment} ...")
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    _pip(environment, "--require-hashes", "--only-binary", ":all:", *options, "-r", requirements)
    stamp.write_text(digest)
    return environment


def _pip(environment: Path, *arguments: str | Path) -> None:
    command = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--compile", *arguments]
    subprocess.run(command, check=True)
