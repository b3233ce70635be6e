"""Bytecode for Lambda's Python: made by whatever is there, and whole and right or not there at all."""

import json
import py_compile
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import source_hash
from pathlib import Path

import pytest

from infra import bytecode, compiler
from infra.bundle import PYTHON_VERSION
from infra.bytecode import MAGIC_NUMBERS, BytecodeError

ROOT = Path(__file__).parents[3]
SOURCES = {
    "module.py": "VALUE = 1\n",
    "package/__init__.py": "",
    "package/inner.py": "def f():\n    return {'a', 'b'}\n",
}
OF_PYTHON_2 = "package/old.py"
TAG = f"cpython-{PYTHON_VERSION.replace('.', '')}"
START = MAGIC_NUMBERS[PYTHON_VERSION].to_bytes(2, "little") + b"\r\n" + bytes([1, 0, 0, 0])


def folder(place: Path) -> Path:
    for name, source in SOURCES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(source)
    return place


def made(place: Path) -> dict[str, bytes]:
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*.pyc")}


def test_pyodide_is_the_python_of_the_functions_runtime_and_pinned() -> None:
    """When the runtime changes: another Pyodide, and what its bytecode begins with."""
    installed = ROOT / "node_modules/pyodide"
    assert json.loads((installed / "pyodide-lock.json").read_text())["info"]["python"].startswith(f"{PYTHON_VERSION}.")
    asked = json.loads((ROOT / "package.json").read_text())["devDependencies"]["pyodide"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]["node_modules/pyodide"]
    assert asked == locked["version"] == json.loads((installed / "package.json").read_text())["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", asked)
    assert locked["integrity"].startswith("sha512-")


@pytest.mark.slow
def test_pyodide_compiles_as_lambda_takes_it_and_always_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bytecode, "_RUNNING", "3.11")
    monkeypatch.setattr("shutil.which", lambda _: None)
    places = [folder(tmp_path / name) for name in ("one", "other")]
    for place in places:
        (place / OF_PYTHON_2).write_text("print 'a package may hold this'\n")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda place: bytecode.add(place, python_version=PYTHON_VERSION), places))
    compiled = made(places[0])
    assert compiled == made(places[1])
    assert compiled.keys() == {
        f"__pycache__/module.{TAG}.pyc",
        f"package/__pycache__/__init__.{TAG}.pyc",
        f"package/__pycache__/inner.{TAG}.pyc",
    }
    for content in compiled.values():
        assert content.startswith(START)
        assert b"/var/task/" in content
        assert str(tmp_path).encode() not in content


@pytest.fixture
def binaries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing on PATH but what a test puts there, whose Python is not Lambda's."""
    monkeypatch.setattr(bytecode, "_RUNNING", "3.11")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\nfor place; do :; done\n{script}\n")
    path.chmod(0o755)


def writes(*modules: str, start: bytes = START) -> str:
    """A script that makes what looks like bytecode of some modules."""
    octal = "".join(f"\\{byte:03o}" for byte in start)
    paths = [Path(each).parent / "__pycache__" / f"{Path(each).stem}.{TAG}.pyc" for each in modules]
    return "\n".join(f"/bin/mkdir -p $place/{path.parent}; printf '{octal}12345678' > $place/{path}" for path in paths)


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (None, "No such file or directory: 'node'"),
        (f"{writes('module.py')}\necho 'Error [ERR_X]: no such thing' >&2\nexit 1", "Error [ERR_X]: no such thing"),
        (
            f"{writes('module.py')}\necho 'PythonError: Traceback:\nOSError: [Errno 28]' >&2; exit 1",
            "OSError: [Errno 28]",
        ),
        (f"{writes('module.py')}\nkill -9 $$", "exit code -9"),
        (f"{writes('module.py')}\nexec /bin/sleep 60", "timed out"),
        (writes("module.py"), "left out package/"),
        (writes(*SOURCES, start=bytes([0xCB, 0x0D, 0x0D, 0x0A, 1, 0, 0, 0])), "does not take"),  # of Python 3.12
        (writes(*SOURCES, start=START[:4] + bytes(4)), "does not take"),  # compared with the time of the source
        (writes(*SOURCES, start=START[:5]).replace("12345678", ""), "does not take"),
    ],
    ids=["missing", "fails", "disk full", "killed", "hangs", "forgets", "other version", "time stamps", "torn"],
)
def test_where_nothing_can_compile_there_is_a_sentence_and_no_bytecode(
    node: str | None, why: str, binaries: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if why == "timed out":
        monkeypatch.setattr(bytecode, "_LONGEST_SECONDS", 0.3)
    if node is not None:
        program(binaries / "node", node)
    place = folder(tmp_path / "place")
    with pytest.raises(BytecodeError) as raised:
        bytecode.add(place, python_version=PYTHON_VERSION)
    sentence = str(raised.value)
    assert sentence.startswith("No Python 3.13 on this machine to compile the code: cold starts are slower. Pyodide")
    assert why in sentence
    assert "\n" not in sentence
    assert {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()} == set(SOURCES)


def test_without_pyodide_the_sentence_says_what_to_do(
    binaries: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bytecode, "_PYODIDE", tmp_path / "node_modules/pyodide")
    program(binaries / "node", writes(*SOURCES))
    with pytest.raises(BytecodeError, match=r"is not installed: run `make setup`\.$"):
        bytecode.add(folder(tmp_path / "place"), python_version=PYTHON_VERSION)


def test_the_machines_own_python_comes_first_if_it_has_the_version(binaries: Path, tmp_path: Path) -> None:
    program(binaries / f"python{PYTHON_VERSION}", writes(*SOURCES))
    program(binaries / "node", f"{writes(*SOURCES)}\necho > $place/node-ran")
    place = folder(tmp_path / "place")
    bytecode.add(place, python_version=PYTHON_VERSION)
    assert len(made(place)) == len(SOURCES)
    assert not (place / "node-ran").exists()


@pytest.mark.parametrize(
    "python",
    [
        "echo 'pyenv: python3.13: command not found' >&2; exit 127",
        f"{writes('module.py', start=b'half')}\nkill -9 $$",
        writes(*SOURCES, start=bytes(8)),  # of a release before the first candidate
    ],
    ids=["shim", "killed", "other version"],
)
def test_a_python_that_does_not_work_is_passed_over_and_leaves_nothing(
    python: str, binaries: Path, tmp_path: Path
) -> None:
    program(binaries / f"python{PYTHON_VERSION}", python)
    program(binaries / "node", writes(*SOURCES))
    place = folder(tmp_path / "place")
    bytecode.add(place, python_version=PYTHON_VERSION)
    assert all(content.startswith(START) for content in made(place).values())
    assert len(made(place)) == len(SOURCES)


def test_a_version_whose_bytecode_is_not_known_gets_none(binaries: Path, tmp_path: Path) -> None:
    program(binaries / "node", writes(*SOURCES))
    with pytest.raises(BytecodeError, match=r"of Python 3\.99 begins with is not known to infra/bytecode\.py\.$"):
        bytecode.add(folder(tmp_path / "place"), python_version="3.99")


# The compiler itself, in the Python of the tests


def test_what_is_compiled_is_taken_as_it_is_and_bound_to_its_source(tmp_path: Path) -> None:
    place = folder(tmp_path / "place")
    bytecode.add(place, python_version=bytecode._RUNNING)
    for name, content in made(place).items():
        source = place / re.sub(r"__pycache__/(\w+)\..*", r"\1.py", name)
        assert content[8:16] == source_hash(source.read_bytes())
    (place / "module.py").write_text("VALUE = 2\n")  # as an upload changes the time of a source
    code = f"import sys; sys.path.insert(0, {str(place)!r}); import module; print(module.VALUE, module.__cached__)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1 ")


def test_a_module_that_cannot_be_written_ends_the_compiler(tmp_path: Path) -> None:
    place = folder(tmp_path / "place")
    (place / "package/__pycache__").write_text("a file")
    done = subprocess.run([sys.executable, "-I", bytecode.COMPILER, place], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "NotADirectoryError" in done.stderr


def test_only_what_is_no_python_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A small stack or too little memory is no reason to leave a module out."""
    place = folder(tmp_path / "place")
    (place / OF_PYTHON_2).write_text("print 'hello'\n")
    compiler.compile_folder(place)
    assert capsys.readouterr().out == f"{OF_PYTHON_2}\n"

    def lacks_memory(*_: object, **__: object) -> None:
        raise py_compile.PyCompileError(MemoryError, MemoryError(), "module.py")

    monkeypatch.setattr(py_compile, "compile", lacks_memory)
    with pytest.raises(py_compile.PyCompileError):
        compiler.compile_folder(place)
