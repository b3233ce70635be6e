"""The device's own tests under another Python than this one, with the locked packages and a test runner alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.wheel import REPOSITORY
from tests.support.installation import LOCKED, PYTHONS, install

# This Python runs all of tests/unit/device anyway; it is tried here only where there is no other.
THIS = "{}.{}".format(*sys.version_info)
VERSIONS = [version for version in PYTHONS if version != THIS] or [THIS]
CHOSEN = ("test_every_key.py", "test_zymkey_key.py")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_device_behaves_the_same_under_python(version: str, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    install(environment, PYTHONS[version], *LOCKED, "-r", REPOSITORY / "requirements" / "device-tests.txt")
    tests = REPOSITORY / "tests" / "unit" / "device"

    done = subprocess.run(
        [
            *(environment / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            f"--confcutdir={tests}",
            "--hypothesis-profile=default",  # the project's own are registered above that folder
            *(tests / name for name in CHOSEN),
        ],
        cwd=REPOSITORY,
        # The checkout's bytecode, too, is kept: some of these tests start the command several times.
        env={**_without_python_variables(), "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def _without_python_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
