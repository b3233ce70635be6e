"""The device's wheel, built from this checkout as ``pip install .`` builds it."""

import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "device")
UV = Path(sys.executable).with_name("uv")


def build_wheel(folder: Path) -> Path:
    """Build in ``folder``, from a copy: setuptools leaves files beside what it builds. Returns the wheel's path."""
    sources, output = folder / "sources", folder / "wheel"
    for place in (sources, output):
        shutil.rmtree(place, ignore_errors=True)
    sources.mkdir(parents=True)
    for name in _SOURCES:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(REPOSITORY / name, sources)
    subprocess.run(
        [
            *(UV, "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", output),
            *("--require-hashes", "--build-constraints", REPOSITORY / "requirements" / "build.txt", sources),
        ],
        check=True,
    )
    (wheel,) = output.glob("*.whl")
    return wheel
