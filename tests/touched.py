"""Which unit tests a change touches: ``python -m tests.touched`` prints their paths, one a line.

A change is what differs from the upstream branch, committed or not; new files count. It touches

- the tests whose imports lead to a changed module, by however many modules in between;
- the tests of the changed package itself (``tests/unit/device`` for ``device``), which also start it as a process;
- the tests of the whole repository (``tests/unit/test_*.py``), always;
- all tests, when a file is no module and belongs to no package, such as pyproject.toml; none, when it is a text.

Without a change, all tests are printed.
"""

import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tests.support.import_graph import Graph, import_graph, module_name

ROOT = Path(__file__).parents[1]
UNIT = Path("tests/unit")
PACKAGES = ("audit", "benchmarks", "device", "fleet", "functions", "infra", "ledger", "pki", "sandbox")


def main() -> None:
    tests = unit_tests()
    changed = changes(ROOT)
    selected = sorted(touched(changed)) if changed else tests
    what = f"{len(changed)} files differ from the upstream branch" if changed else "nothing has changed"
    sys.stderr.write(f"{what}: {len(selected)} of {len(tests)} files of unit tests\n")
    sys.stdout.writelines(f"{path}\n" for path in selected)


def unit_tests() -> list[Path]:
    """Every file of unit tests, relative to the repository."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / UNIT).rglob("test_*.py"))


def changes(root: Path) -> set[Path]:
    """What differs from the upstream branch, from ``main`` where there is none, or from the last commit."""
    upstreams = (
        _git(root, "rev-parse", "--verify", "--quiet", name) for name in ("@{upstream}", "origin/main", "main")
    )
    base = _git(root, "merge-base", "HEAD", *next(filter(None, upstreams), ["HEAD"])) or ["HEAD"]
    known = _git(root, "diff", "--name-only", "--no-renames", *base)
    new = _git(root, "ls-files", "--others", "--exclude-standard")
    return {Path(path) for path in [*known, *new]}


def touched(changed: Iterable[Path]) -> set[Path]:
    """The test files that a change of these files touches; all paths are relative to the repository."""
    graph = _graph()
    reach = {test: _reached(test, graph) for test in unit_tests()}
    found = {test for test in reach if test.parent == UNIT}
    for path in changed:
        package = path.parts[0]
        if path.suffix == ".md":
            continue
        if path.suffix == ".py" and path.is_relative_to("tests"):
            found |= {test for test, modules in reach.items() if module_name(path) in modules}
        elif path.is_relative_to("tests"):  # what a module of this folder compiles, reads or compares with
            folder = module_name(path.parent / "__init__.py")
            found |= {test for test, modules in reach.items() if any(each.startswith(folder) for each in modules)}
        elif package in PACKAGES:
            own = {test for test in reach if test.is_relative_to(UNIT / package)}
            modules = {module_name(path)} if path.suffix == ".py" else {each for each in graph if _is_in(each, package)}
            found |= own | {test for test in reach if reach[test] & modules}
        else:
            found |= set(reach)
    return found


@cache
def _graph() -> Graph:
    return import_graph(ROOT, [*PACKAGES, "tests"])


def _reached(test: Path, graph: Graph) -> set[str]:
    """The modules that a test imports, and those that the conftest files above it import, directly or not."""
    conftests = (module_name(folder / "conftest.py") for folder in test.parents if folder != Path())
    waiting = [module_name(test), *(name for name in conftests if name in graph)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph[name]
    return found


def _is_in(module: str, package: str) -> bool:
    return module.split(".")[0] == package


def _git(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


if __name__ == "__main__":
    main()
