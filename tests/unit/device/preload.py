"""Small C libraries that change what a program sees of its machine: dying at a write, a wrong clock."""

import subprocess
from pathlib import Path

import pytest


def compiled(name: str, folder: Path) -> str:
    """Compile `name`.c beside this file into `folder` and return the path for LD_PRELOAD."""
    library = folder / f"{name}.so"
    if not library.exists():
        source = Path(__file__).with_name(f"{name}.c")
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True
        )
    return str(library)


@pytest.fixture(scope="session")
def kill_at_write(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compiled("kill_at_write", tmp_path_factory.mktemp("preload"))


@pytest.fixture(scope="session")
def wrong_clock(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compiled("wrong_clock", tmp_path_factory.mktemp("preload"))
