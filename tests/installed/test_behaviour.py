"""The device's own tests under another Python than this one, with the locked packages and a test runner alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.wheel import REPOSITORY
from tests.support.installation import LOCKED, PYTHONS, install

# This Python runs all of tests/unit/device anyway: here only that it needs nothing but what is locked for a Pi.
THIS = "{}.{}".format(*sys.version_info)
CHOSEN = {
    version: ["test_every_key.py", "test_zymkey_key.py"] if version != THIS else ["test_zymkey_key.py"]
    for version in PYTHONS
}


@pytest.mark.parametrize("version", PYTHONS)
def test_the_device_behaves_the_same_under_python(version: str, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    install(environment, PYTHONS[version], *LOCKED, "-r", REPOSITORY / "requirements" / "device-tests.txt")
    tests = REPOSITORY / "tests" / "unit" / "device"

    done = subprocess.run(
        [
            *(environment / "bin" / "python", "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"),
            f"--confcutdir={tests}",
            *(tests / name for name in CHOSEN[version]),
        ],
        cwd=REPOSITORY,
        # The checkout's bytecode, too, is kept: each of these tests starts the command several times.
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
