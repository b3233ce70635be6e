"""Compile the simulated Zymkey and put it where the vendor's programs look for the real one."""

import filecmp
import hashlib
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
OUTPUT = SOURCES.parents[1] / "build" / "zymkey"
DEFAULT_STATE = OUTPUT / "state"

LIBRARY = "libzk_app_utils"
ENGINE = "zymkey_ssl"
SHARED = ("device.c", "state.c")

# nodelete: OpenSSL unloads an engine before it frees the keys that were loaded through it.
FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Wl,-z,defs", "-Wl,-z,nodelete")

# How gcc, clang and the linkers name a header or a library that they cannot find.
MISSING = re.compile(r"fatal error: '?([^:' ]+)'?(?:: No such| file not)|cannot find (-lcrypto)|library (-lcrypto)")


class CannotBuild(Exception):
    """The simulated Zymkey cannot be built here. The text is one sentence that says what is missing."""


@dataclass(frozen=True)
class Built:
    """Where things are.

    ``library`` is what the vendor's module loads in the interpreter that ran the build; ``engines`` is the
    value for OPENSSL_ENGINES; ``compiled`` tells whether the compiler had to run.
    """

    library: Path
    engines: Path
    compiled: bool


def build(*, compiler: str = "gcc") -> Built:
    """Compile what changed, install the library for the interpreter that runs this, and say where it is.

    Safe to repeat and safe to run twice at once: files are replaced whole.

    Raises:
        CannotBuild: why.
    """
    try:
        compiled = _compile_when_changed(compiler)
        return Built(library=_install(OUTPUT / f"{LIBRARY}.so"), engines=OUTPUT, compiled=compiled)
    except OSError as error:
        raise CannotBuild(f"The simulated Zymkey cannot be written: {error}.") from error


def compile_command(compiler: str, name: str, output: Path) -> list[str]:
    """The compiler's command line for one of the two shared objects."""
    state = f'-DZYMKEY_STATE_DIRECTORY="{DEFAULT_STATE}"'
    sources = [str(SOURCES / source) for source in (f"{name}.c", *SHARED)]
    return [compiler, *FLAGS, state, *sources, "-lcrypto", "-o", str(output)]


def _compile_when_changed(compiler: str) -> bool:
    targets = {name: OUTPUT / f"{name}.so" for name in (LIBRARY, ENGINE)}
    stamp = OUTPUT / "sources.sha256"
    digest = _digest([compile_command(compiler, name, target) for name, target in targets.items()])
    if stamp.exists() and stamp.read_text() == digest and all(path.exists() for path in targets.values()):
        return False

    OUTPUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUTPUT, prefix=".compile-") as folder:
        for name, target in targets.items():
            fresh = Path(folder) / target.name
            _run(compile_command(compiler, name, fresh))
            fresh.replace(target)
        fresh = Path(folder) / stamp.name
        fresh.write_text(digest)
        fresh.replace(stamp)
    return True


def _digest(commands: list[list[str]]) -> str:
    """Everything that decides what comes out: the sources and the command lines."""
    hasher = hashlib.sha256(repr(commands).encode())
    for source in sorted((*SOURCES.glob("*.c"), *SOURCES.glob("*.h"))):
        hasher.update(source.name.encode() + b"\0" + source.read_bytes())
    return hasher.hexdigest()


def _run(command: list[str]) -> None:
    # LC_ALL: the reasons below are looked for in English.
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    except FileNotFoundError as error:
        raise CannotBuild(
            f"The simulated Zymkey needs a C compiler, and there is no '{command[0]}' here: "
            "install gcc (on Debian: apt install gcc libc6-dev libssl-dev)."
        ) from error
    if result.returncode == 0:
        return
    missing = sorted({name for groups in MISSING.findall(result.stderr) for name in groups if name})
    if missing:
        raise CannotBuild(
            f"The simulated Zymkey needs what is not here: {', '.join(missing)}; install the headers of the C library "
            "and of OpenSSL 3, with engines (on Debian: apt install libc6-dev libssl-dev)."
        )
    cause = next((line for line in result.stderr.splitlines() if "error" in line), "no reason given")
    raise CannotBuild(f"The simulated Zymkey does not compile with '{command[0]}': {cause}")


def _install(library: Path) -> Path:
    """Copy the library to <site-packages>/usr/lib, where the vendor's module looks before /usr/lib."""
    installed = _site_packages() / "usr" / "lib" / library.name
    if installed.exists() and filecmp.cmp(library, installed, shallow=False):
        return installed
    installed.parent.mkdir(parents=True, exist_ok=True)
    # Never written in place: a program that has it mapped would crash.
    with tempfile.TemporaryDirectory(dir=installed.parent, prefix=".install-") as folder:
        fresh = Path(shutil.copy2(library, folder))
        fresh.replace(installed)
    return installed


def _site_packages() -> Path:
    return Path(sysconfig.get_path("purelib"))
