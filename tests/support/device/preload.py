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
    """Take root's rights from the program that is executed next: an account like any other, which owns root's files.

    It may not read what is forbidden to its owner, nor listen on ports below 1024. Other accounts have no such rights.
    For `preexec_fn`. Raises OSError where root cannot give them up. Linux's capabilities(7), "securebits".
    """
    set_securebits, no_rights_for_root = 28, 0b11  # SECBIT_NOROOT, locked
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(set_securebits, no_rights_for_root, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "root cannot give up its rights")
