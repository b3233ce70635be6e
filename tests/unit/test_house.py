"""The rules of the house, read from the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Imports run one way: what runs in AWS, on the Pi and at the operator's do not know each other, nor the CDK.
FORBIDDEN = {
    "functions": {"aws_cdk", "constructs", "device", "fleet", "infra", "sandbox"},
    "ledger": {"aws_cdk", "constructs", "device", "fleet", "functions", "infra", "pki", "sandbox"},
    "pki": {"aws_cdk", "constructs", "device", "fleet", "functions", "infra", "ledger", "sandbox"},
    "fleet": {"aws_cdk", "constructs", "device", "functions", "infra", "sandbox"},
    "device": {"aws_cdk", "constructs", "boto3", "botocore", "fleet", "functions", "infra", "ledger", "pki", "sandbox"},
    "infra": {"device", "fleet", "functions", "sandbox"},
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


@pytest.mark.parametrize("name", ["utils", "util", "helpers", "helper", "common", "manager", "misc"])
def test_nothing_is_called_by_a_name_that_says_nothing(name):
    folders = ("device", "fleet", "functions", "infra", "ledger", "pki", "sandbox", "tests")
    assert [path for folder in folders for path in (ROOT / folder).rglob(f"{name}*")] == []
