"""The rules of the house, read from the sources."""

import ast
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

from tests.support.import_graph import circles, import_graph

ROOT = Path(__file__).parents[2]
PACKAGES = ("audit", "benchmarks", "device", "fleet", "functions", "infra", "ledger", "pki", "sandbox")

# Imports run one way: what runs in AWS, on the Pi and at the operator's do not know each other, nor the CDK.
FORBIDDEN = {
    "functions": {"aws_cdk", "constructs", "device", "fleet", "infra", "sandbox"},
    "audit": {"aws_cdk", "constructs", "device", "fleet", "functions", "infra", "sandbox"},
    "ledger": {"audit", "aws_cdk", "constructs", "device", "fleet", "functions", "infra", "pki", "sandbox"},
    "pki": {"audit", "aws_cdk", "constructs", "device", "fleet", "functions", "infra", "ledger", "sandbox"},
    "fleet": {"aws_cdk", "constructs", "device", "functions", "infra", "sandbox"},
    "device": {
        *("audit", "aws_cdk", "constructs", "boto3", "botocore", "fleet", "functions", "infra", "ledger", "pki"),
        "sandbox",
    },
    "infra": {"audit", "device", "fleet", "functions", "sandbox"},
}


def imports(path: Path) -> set[str]:
    """The top-level packages that a file imports by their full name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_run_one_way(folder):
    paths = list((ROOT / folder).rglob("*.py"))
    assert paths
    wrong = {str(path.relative_to(ROOT)): found for path in paths if (found := imports(path) & FORBIDDEN[folder])}
    assert wrong == {}


def test_no_imports_form_a_circle():
    graph = import_graph(ROOT, PACKAGES)
    assert all(any(module.split(".")[0] == package for module in graph) for package in PACKAGES)
    assert "device.first_connection" in graph["device.bootstrap"], "lazy imports are read"
    found = circles(graph)
    assert not found, "\n".join(found)


def test_a_circle_is_found_however_it_is_closed_and_spelled_out(tmp_path):
    package = tmp_path / "house"
    (package / "rooms").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "door.py": "def enter():\n    from .hall import greet\n",
        "hall.py": "from . import stairs\n",
        "stairs.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.door\n",
        "bell.py": "import importlib\ndef ring(room):\n    importlib.import_module(f'.rooms.{room}', __package__)\n",
        "rooms/__init__.py": "",
        "rooms/attic.py": "from ..bell import ring\n",
        "rooms/cellar.py": "from . import attic\nfrom house import door\n",
        "street.py": "import house.door, os\n",
    }
    for name, text in files.items():
        (package / name).write_text(text)

    assert circles(import_graph(tmp_path, ["house"])) == [
        "house.bell -> house.rooms.attic -> house.bell",
        "house.door -> house.hall -> house.stairs -> house.door",
        "house.rooms.cellar -> house.rooms.attic -> house.bell -> house.rooms.cellar",
    ]


def prose(path: Path) -> str:
    """The docstrings and comments of a file, those after attributes too."""
    with tokenize.open(path) as file:
        comments = [token.string for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]
    docstrings = [
        node.value.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return "\n".join([*docstrings, *comments])


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("code stands in two backticks on each side", r".*(?<!`)(`|```+)(?!`).*"),
        ("what is raised stands in a section of its own, below `Raises:`", r".*\bRaises\b(?!:$).*"),
    ],
)
def test_docstrings_and_comments_speak_one_dialect(package: str, rule: str, broken: str) -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sorted((ROOT / package).rglob("*.py"))
        if (lines := [match.group() for match in re.finditer(broken, prose(path), re.MULTILINE)])
    }
    assert found == {}, rule


@pytest.mark.parametrize("name", ["utils", "util", "helpers", "helper", "common", "manager", "misc"])
def test_nothing_is_called_by_a_name_that_says_nothing(name):
    folders = ("audit", "device", "fleet", "functions", "infra", "ledger", "pki", "sandbox", "tests")
    assert [path for folder in folders for path in (ROOT / folder).rglob(f"{name}*")] == []


def test_what_a_test_has_left_behind_is_not_kept():
    """A relative ``--state`` makes a folder with a lock where the command runs."""
    kept = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    assert [name for name in kept if name.endswith(b"/lock") or not re.fullmatch(rb"[A-Za-z0-9._/-]*", name)] == []
