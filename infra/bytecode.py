"""Bytecode for Lambda's Python, whatever Python deploys.

A function's folder is read-only in Lambda, so without bytecode every cold start compiles every module again: 0.4 s of
processor time instead of 0.2 s. Bytecode is of one version of Python. Where the deploying machine has that version, it
compiles; elsewhere Pyodide does, CPython as WebAssembly, which npm installs beside the CDK's command line and which
runs in the same Node. Both run ``infra/compiler.py``. Each writes the same bytes of the same sources on every machine.
The two do not write the same ones: 3.13.2, which Pyodide is, compiles a third of the modules a little differently from
3.13.0. Any 3.13 runs both.

It is all or nothing: bytecode of the wrong version, or half of it, could stop every function. So what was written is
checked, and is removed if anything is wrong with it: then Lambda compiles.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# What bytecode begins with, by version (CPython's Include/internal/pycore_magic_number.h). It does not change after a
# version's first release candidate.
MAGIC_NUMBERS = {"3.13": 3571}

_RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"

COMPILER = Path(__file__).with_name("compiler.py")
COMPILER_IN_PYODIDE = Path(__file__).with_name("compiler_in_pyodide.mjs")
_PYODIDE = Path(__file__).resolve().parent.parent / "node_modules" / "pyodide"

# It takes 3 s.
_LONGEST_SECONDS = 120.0
# PEP 552: bound to the hash of its source, and not checked again.
_UNCHECKED = 1


class BytecodeError(Exception):
    """There is no bytecode; the message says why."""


def add(place: Path, *, python_version: str) -> None:
    """Add bytecode to every module of a folder that has none.

    Raises:
        BytecodeError: nothing here could compile it; the folder is as it was.
    """
    reason = ""
    for command, name in _compilers(python_version):
        try:
            _check(place, _run(name, [*command, str(place)]), name, python_version=python_version)
        except BytecodeError as error:
            reason = f" {error}"
            for folder in list(place.rglob("__pycache__")):
                shutil.rmtree(folder)
        else:
            return
    raise BytecodeError(
        f"No Python {python_version} on this machine to compile the code: cold starts are slower.{reason}"
    )


def _compilers(python_version: str) -> Iterator[tuple[list[str], str]]:
    """What may be able to, the quickest first, with the name that an error gives it."""
    python = sys.executable if python_version == _RUNNING else shutil.which(f"python{python_version}")
    if python is not None:  # it may lead nowhere: pyenv puts one on PATH for every version that it has anywhere
        yield [python, "-I", str(COMPILER)], python
    if python_version != _RUNNING:
        yield ["node", str(COMPILER_IN_PYODIDE), str(COMPILER)], "Pyodide in Node"


def _run(name: str, command: list[str]) -> set[str]:
    """The modules that could not be compiled, because they are none."""
    if command[0] == "node" and not _PYODIDE.is_dir():
        raise BytecodeError("Pyodide, which brings one, is not installed: run `make setup`.")
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BytecodeError(f"{name} failed: {error}.") from None
    if done.returncode != 0:
        found = re.findall(r"^\S*(?:Error|Exception)\b.*$", done.stderr, re.MULTILINE)
        why = found[-1] if found else f"exit code {done.returncode}"
        raise BytecodeError(f"{name} failed: {why[:200]}")
    return set(done.stdout.splitlines())


def _check(place: Path, left_out: set[str], name: str, *, python_version: str) -> None:
    """Every module has bytecode that Python ``python_version`` takes and does not compare with its source."""
    start = _magic_number(python_version) + _UNCHECKED.to_bytes(4, "little")
    tag = f"cpython-{python_version.replace('.', '')}"
    for source in place.rglob("*.py"):
        module = source.relative_to(place).as_posix()
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        if compiled.is_file():
            with compiled.open("rb") as file:
                if file.read(len(start)) != start:
                    raise BytecodeError(f"{name} made bytecode that Python {python_version} does not take ({module}).")
        elif module not in left_out:
            raise BytecodeError(f"{name} left out {module}.")


def _magic_number(python_version: str) -> bytes:
    if python_version == _RUNNING:
        return importlib.util.MAGIC_NUMBER
    if python_version not in MAGIC_NUMBERS:
        raise BytecodeError(f"What bytecode of Python {python_version} begins with is not known to infra/bytecode.py.")
    return MAGIC_NUMBERS[python_version].to_bytes(2, "little") + b"\r\n"
