"""What changes a program's view of its machine: C libraries to preload, and rights to go without."""

import ctypes
import os
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


def without_rights() -> None:
    """Take from root what lets it read everything, so that it is a user like any other. Others have none of it."""
    drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (dac_override, dac_read_search):
            libc.prctl(drop_from_bounding_set, capability, 0, 0, 0)
