"""The rules of the tests, read from their sources."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]


def imported_modules(path: Path) -> set[str]:
    """The full names of all that a file imports; for ``from a import b`` both ``a`` and ``a.b``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # Of a relative import the last part is what matters here: `from .conftest import run`.
            names |= {node.module or "", *(f"{node.module or ''}.{alias.name}" for alias in node.names)}
    return names


def is_conftest_or_test(module: str) -> bool:
    return any(part == "conftest" or part.startswith("test_") for part in module.split("."))


def test_what_tests_share_is_in_support_and_never_imported_from_a_conftest_or_another_test():
    """A module that is imported and collected as well is loaded under two names, and its fixtures run twice."""
    paths = list(TESTS.rglob("*.py"))
    assert len(paths) > 100
    wrong = {
        str(path.relative_to(TESTS)): found
        for path in paths
        if (found := {name for name in imported_modules(path) if name and is_conftest_or_test(name)})
    }
    assert wrong == {}


def is_fixture_or_hook(function: ast.FunctionDef) -> bool:
    decorators = " ".join(map(ast.unparse, function.decorator_list))
    return function.name.startswith("pytest_") or "fixture" in decorators


def test_a_conftest_holds_fixtures_and_hooks_and_what_these_alone_need():
    """What else a test needs of it, the test would have to import."""
    for path in TESTS.rglob("conftest.py"):
        functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        plain = {each.name for each in functions if not each.name.startswith("_") and not is_fixture_or_hook(each)}
        assert plain == set(), path
