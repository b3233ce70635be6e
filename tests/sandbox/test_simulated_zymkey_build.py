"""Building the simulated Zymkey: only when needed, without a warning, and with one sentence when it cannot be."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.zymkey import build as building
from sandbox.zymkey.build import ENGINE, LIBRARY, SOURCES, CannotBuild, build, compile_command


@pytest.mark.parametrize("name", [LIBRARY, ENGINE])
def test_it_compiles_without_a_warning(name: str, tmp_path: Path) -> None:
    command = [*compile_command("gcc", name, tmp_path / "unused.so"), "-Werror", "-fsyntax-only"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_it_compiles_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = tmp_path / "sources"
    shutil.copytree(SOURCES, sources)
    monkeypatch.setattr(building, "SOURCES", sources)
    monkeypatch.setattr(building, "OUTPUT", tmp_path / "out")
    monkeypatch.setattr(building, "_site_packages", lambda: tmp_path / "site-packages")

    assert build().compiled
    assert not build().compiled
    (sources / "device.h").write_text((sources / "device.h").read_text() + "\n")
    assert build().compiled
    (tmp_path / "out" / "zymkey_ssl.so").unlink()
    assert build().compiled


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "OUTPUT", tmp_path)
    with pytest.raises(CannotBuild, match=r"no 'not-a-compiler' here: install gcc \("):
        build(compiler="not-a-compiler")


def test_missing_headers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "gcc-without-headers"
    compiler.write_text(f'#!/bin/sh\nexec gcc -nostdinc -isystem {tmp_path} "$@"\n')
    compiler.chmod(0o755)
    output = tmp_path / "out"
    monkeypatch.setattr(building, "OUTPUT", output)
    with pytest.raises(CannotBuild, match=r"not here: .*openssl/evp\.h.*apt install libc6-dev libssl-dev"):
        build(compiler=str(compiler))
    assert list(output.iterdir()) == []


def test_the_command_line_says_it_in_one_sentence(tmp_path: Path) -> None:
    shutil.copytree(SOURCES, tmp_path / "sandbox" / "zymkey", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "sandbox.zymkey", "build", "--compiler", "not-a-compiler"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("The simulated Zymkey needs a C compiler")
    assert result.stderr.count("\n") == 1
