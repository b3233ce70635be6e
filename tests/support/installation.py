"""The Pythons of this machine, and the device's distribution installed for one as on a Pi: without a compiler."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.wheel import REPOSITORY, UV

OTHER_VERSIONS = ("3.13",)  # trixie's; 3.11 is bookworm's, and the least that the project runs on

# Where Pythons are that are not on PATH: pyenv's, uv's, and self-compiled ones.
_PLACES = (
    "~/.pyenv/versions/{version}*/bin",
    "~/.local/share/uv/python/cpython-{version}*/bin",
    "/usr/local/bin",
    "/opt/python*/bin",
)


def find_python(version: str) -> Path | None:
    """A Python of `version` that runs. What is on PATH may be a shim that leads nowhere, so each is tried."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    for place in _PLACES:
        pattern = str(Path(place.format(version=version)).expanduser().relative_to("/"))
        folders += sorted(Path("/").glob(pattern))
    candidates = (folder / f"python{version}" for folder in folders)
    return next((candidate for candidate in candidates if candidate.exists() and _runs(candidate)), None)


def _runs(candidate: Path) -> bool:
    probe = [candidate, "-c", "import ctypes, ssl, venv"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


PYTHONS = {"{}.{}".format(*sys.version_info): Path(sys.executable)}
for _version in OTHER_VERSIONS:
    if _version not in PYTHONS and (_found := find_python(_version)):
        PYTHONS[_version] = _found


@dataclass(frozen=True)
class Installation:
    """A virtual environment that holds the wheel and the locked packages, and nothing else."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        (found,) = (self.folder / "lib").glob("python*/site-packages")
        return found

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run with nothing of this checkout in sight."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ZYMKEY_"))}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)


def install(folder: Path, python: Path, *arguments: str | Path) -> None:
    """Make a virtual environment in `folder`, if there is none, and install into it on a machine with no compiler."""
    if not folder.exists():
        subprocess.run([UV, "venv", "--quiet", "--python", python, folder], check=True)
    command = [UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *arguments]
    done = subprocess.run(command, env={**os.environ, **NO_COMPILER}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


NO_COMPILER = {"CC": "/bin/false", "CXX": "/bin/false", "CARGO": "/bin/false", "RUSTC": "/bin/false"}
"""Whoever asks for a compiler gets one that fails."""

LOCKED = (
    *("--require-hashes", "--build-constraints", REPOSITORY / "requirements" / "build.txt"),
    # Wheels alone, but for cmdline: it comes as source, and is pure Python.
    *("--only-binary", ":all:", "--no-binary", "cmdline"),
)
"""The installer's options for a locked requirements file."""
