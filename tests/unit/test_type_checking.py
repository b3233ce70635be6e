"""What mypy reads of the CDK (pyproject.toml): all that this project uses, and no more."""

import ast
import importlib.util
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MYPY = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]


def cdk_modules_imported():
    """The CDK's modules that files under mypy's care import: what is in them would otherwise pass unchecked."""
    cdk = Path(importlib.util.find_spec("aws_cdk").origin).parent
    found = {"aws_cdk", "aws_cdk.interfaces"}
    for package in MYPY["packages"]:
        for path in [ROOT / f"{package}.py", *(ROOT / package).rglob("*.py")]:
            if path.exists():
                found |= {name for name in imported(path) if (cdk.parent / name.replace(".", "/")).is_dir()}
    interfaces = {name.replace("aws_cdk.", "aws_cdk.interfaces.") for name in found}
    return found | {name for name in interfaces if (cdk.parent / name.replace(".", "/")).is_dir()}


def imported(path):
    source = path.read_text()
    for node in ast.walk(ast.parse(source)) if "aws_cdk" in source else ():
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "aws_cdk")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "aws_cdk":
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_mypy_reads_each_module_of_the_cdk_that_is_imported():
    (read,) = (set(each["module"]) for each in MYPY["overrides"] if each.get("follow_imports") == "normal")
    assert read == cdk_modules_imported()
