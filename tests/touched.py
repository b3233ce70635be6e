"""Which unit tests a change touches: ``python -m tests.touched`` prints their paths, one a line.

A change is what differs from the upstream branch, committed or not; new files count. It touches the test files that
import the changed package, through other packages and ``tests.support`` too, and those that are changed themselves.
The tests of the whole repository (``tests/unit/test_*.py``) always belong to it. A file that cannot be traced in this
way, such as pyproject.toml, touches all tests; a text (``*.md``) none. Without any change, all tests are printed.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNIT = Path("tests/unit")


def main() -> None:
    tests = unit_tests(ROOT)
    changed = changes(ROOT)
    selected = sorted(touched(changed, ROOT)) if changed else tests
    what = f"{len(changed)} files differ from the upstream branch" if changed else "nothing has changed"
    sys.stderr.write(f"{what}: {len(selected)} of {len(tests)} files of unit tests\n")
    sys.stdout.writelines(f"{path}\n" for path in selected)


def unit_tests(root: Path) -> list[Path]:
    """Every file of unit tests, relative to ``root``."""
    return sorted(path.relative_to(root) for path in (root / UNIT).rglob("test_*.py"))


def changes(root: Path) -> set[Path]:
    """What differs from the upstream branch, from ``main`` where there is none, or from the last commit."""
    upstreams = (
        _git(root, "rev-parse", "--verify", "--quiet", name) for name in ("@{upstream}", "origin/main", "main")
    )
    base = _git(root, "merge-base", "HEAD", *next(filter(None, upstreams), ["HEAD"])) or ["HEAD"]
    known = _git(root, "diff", "--name-only", "--no-renames", *base)
    new = _git(root, "ls-files", "--others", "--exclude-standard")
    return {Path(path) for path in [*known, *new]}


def touched(changed: Iterable[Path], root: Path) -> set[Path]:
    """The test files that a change of these files touches; all paths are relative to ``root``."""
    reach = {test: reached(test, root) for test in unit_tests(root)}
    everywhere = {test for test in reach if test.parent == UNIT}
    found = set(everywhere)
    for path in changed:
        if path.suffix == ".md":
            continue
        # Of a package, whatever is in it; of the tests, a file, or with a file that is not Python its folder.
        marks = {path, Path(path.parts[0])} if path.suffix == ".py" else {path.parent, Path(path.parts[0])}
        users = {test for test, files in reach.items() if files & marks}
        is_test = path.parts[0] == "tests" and not path.is_relative_to("tests/support") and path.name != "conftest.py"
        found |= users or ({path} & reach.keys() if is_test else set(reach))
    return found


def reached(test: Path, root: Path) -> set[Path]:
    """What a test depends on: packages by their folder; of ``tests``, each file and its folder."""
    packages = _packages(root)
    found: set[Path] = set()
    waiting = [test, *(folder / "conftest.py" for folder in test.parents if (root / folder / "conftest.py").exists())]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found |= {path, path.parent}
        for name in _imports(root / path):
            top, *rest = name.split(".")
            if top == "tests":
                waiting += _file_of(Path("tests", *rest), root)
            elif top in packages:
                found |= packages[top]
    return found


@cache
def _packages(root: Path) -> Mapping[str, set[Path]]:
    """Each package and what it depends on, itself included, by the folders' names."""
    folders = [path.parent.name for path in root.glob("*/__init__.py") if path.parent.name != "tests"]
    direct = {
        folder: {name.split(".")[0] for path in (root / folder).rglob("*.py") for name in _imports(path)} & set(folders)
        for folder in folders
    }
    result: dict[str, set[Path]] = {}
    for folder in folders:
        reached, waiting = set(), [folder]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += direct[name]
        result[folder] = set(map(Path, reached))
    return result


@cache
def _imports(path: Path) -> set[str]:
    """The modules that a file imports by their full name; of ``from a import b``, both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _file_of(module: Path, root: Path) -> list[Path]:
    """The file of a module of the tests; none for a name that is no module's."""
    return [path for path in (module.with_suffix(".py"), module / "__init__.py") if (root / path).exists()]


def _git(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


if __name__ == "__main__":
    main()
