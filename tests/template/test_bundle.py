"""The functions' code asset: complete, for the right machine, and built only when it has to be."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import bytecode
from infra.bundle import Bundle, bundle
from pki.issuers import ISSUERS
from tests.template.synthesis import ADOPT, ROOT, synthesize

# Imports one handler where nothing is to be found but the bundle and Python itself, and says what it loaded.
IMPORT = """
import importlib, json, sys
bundle, module, name = sys.argv[1:]
sys.path.insert(0, bundle)
assert callable(getattr(importlib.import_module(module), name))
files = [each.__file__ for each in list(sys.modules.values()) if getattr(each, "__file__", None)]
print(json.dumps(files))
"""

PLACEHOLDERS = {"LEDGER_TABLE": "table", "IOT_POLICY": "policy", "CA_CERTIFICATES": "", "CA_KEY_ARN": "arn"}


def handlers() -> dict[str, dict[str, str]]:
    """Every handler of ours that a template names, with its environment."""
    found: dict[str, dict[str, str]] = {}
    for issuer in ISSUERS:
        templates = synthesize(issuer=issuer, adopt=ADOPT[issuer])  # which has one handler more, and lacks none
        for template in (templates.trust, templates.enrollment):
            for function in template.resources("AWS::Lambda::Function").values():
                properties = function["Properties"]
                if properties["Runtime"].startswith("python"):
                    found[properties["Handler"]] = resolved(properties["Environment"]["Variables"])
    return found


def resolved(variables: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else PLACEHOLDERS[name] for name, value in variables.items()}


@pytest.fixture(scope="module")
def host_bundle() -> Bundle:
    return bundle(bundle_for="host", architecture="arm64")


def test_every_handler_imports_where_there_is_nothing_but_the_bundle(host_bundle: Bundle) -> None:
    found = handlers()
    assert set(found) == {
        "functions.handlers.adopted_policy.handler",
        "functions.handlers.audit.handler",
        "functions.handlers.certificate_authority.handler",
        "functions.handlers.declared_status.handler",
        "functions.handlers.first_connection.handler",
        "functions.handlers.http_api.handler",
        "functions.handlers.seen.handler",
        "functions.handlers.superseded.handler",
    }
    standard_library = Path(os.__file__).parent
    for handler, variables in found.items():
        module, name = handler.rsplit(".", 1)
        # The interpreter that the virtual environment was made from, isolated, without its site-packages.
        command = [sys._base_executable, "-I", "-S", "-B", "-c", IMPORT, host_bundle.directory, module, name]
        lambdas = {"AWS_LAMBDA_FUNCTION_NAME": "function", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
        done = subprocess.run(command, env=variables | lambdas, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{handler}:\n{done.stderr}"
        for path in map(Path, json.loads(done.stdout)):
            inside = path.is_relative_to(host_bundle.directory)
            assert inside or (path.is_relative_to(standard_library) and "site-packages" not in path.parts), path


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", 183), ("x86_64", 62)])
def test_binaries_are_for_lambdas_machine_and_python(architecture: str, machine: int) -> None:
    """ELF header: e_machine is the little-endian number at byte 18 (183 is AArch64, 62 x86-64)."""
    directory = bundle(bundle_for="lambda", architecture=architecture).directory
    binaries = [path for path in directory.rglob("*.so*") if path.is_file()]
    assert any("cryptography" in path.parts for path in binaries)
    for path in binaries:
        header = path.read_bytes()[:20]
        assert (header[:4], int.from_bytes(header[18:20], "little")) == (b"\x7fELF", machine), path
        assert ".abi3." in path.name or ".cpython-313-" in path.name, path


def test_the_bundle_has_what_runs_and_little_else(host_bundle: Bundle) -> None:
    directory = host_bundle.directory
    assert {path.name for path in (directory / "botocore/data").iterdir() if path.is_dir()} == {
        "dynamodb",
        "iot",
        "kms",
    }
    assert not (directory / "aws_cdk").exists()
    assert not (directory / "infra").exists()
    assert sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) < 40_000_000


def test_bytecode_comes_along_that_an_upload_does_not_spoil(host_bundle: Bundle) -> None:
    """A .pyc's flags (PEP 552): 1 is bound to its source's hash, not its time stamp, and not checked again."""
    for module in ("functions/handlers/http_api", "ledger/ledger", "botocore/client", "cryptography/x509/base"):
        path = host_bundle.directory / importlib.util.cache_from_source(f"{module}.py")
        assert int.from_bytes(path.read_bytes()[4:8], "little") == 1, path


def check_that_lambda_takes_its_bytecode(directory: Path) -> None:
    """Every module has some, whatever Python this machine has; what it begins with is checked when it is made."""
    sources = set(directory.rglob("*.py"))
    assert len(sources) > 200
    assert not {path for path in sources if not (path.parent / f"__pycache__/{path.stem}.cpython-313.pyc").is_file()}


def test_without_bytecode_it_has_another_name_and_gets_some_as_soon_as_it_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CDK uploads a name once. Otherwise the bytecode of a later build would never get to Lambda."""
    gathered: list[Path] = []

    def gather(place: Path, target: tuple[str, ...]) -> None:
        gathered.append(place)
        place.mkdir()
        (place / "module.py").write_text("")

    def fail(place: Path, *, python_version: str) -> None:
        raise bytecode.BytecodeError(f"nothing compiles for {python_version}")

    monkeypatch.setattr("infra.bundle._BUNDLES", tmp_path)
    monkeypatch.setattr("infra.bundle._gather", gather)
    monkeypatch.setattr(bytecode, "add", fail)
    made = [bundle(bundle_for="lambda", architecture="arm64") for _ in range(2)]
    assert made[0] == made[1]
    assert capsys.readouterr().err.count("nothing compiles for 3.13") == 2

    monkeypatch.setattr(bytecode, "add", lambda place, **_: (place / "module.pyc").write_text(""))
    compiled = bundle(bundle_for="lambda", architecture="arm64")
    assert compiled.digest != made[0].digest
    assert (compiled.directory / "module.pyc").exists()
    assert not (made[0].directory / "module.pyc").exists()

    monkeypatch.setattr(bytecode, "add", fail)
    assert bundle(bundle_for="lambda", architecture="arm64") == compiled
    assert len(gathered) == 1


@pytest.fixture
def copy_of_the_sources(tmp_path: Path) -> Path:
    for folder in ("audit", "infra", "functions", "ledger", "pki"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / "requirements/functions.txt", tmp_path / "requirements")
    shutil.copy(ROOT / "cdk.json", tmp_path)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    return tmp_path


def build(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.bundle"]
    given = os.environ | {"UV_OFFLINE": "1"} | environment
    return subprocess.run(command, cwd=root, env=given, capture_output=True, text=True, check=False)


def bundles(root: Path) -> set[str]:
    return {path.name for path in (root / "build/bundle").iterdir()}


@pytest.mark.slow
def test_it_is_built_once_without_network_and_again_only_when_an_input_changes(copy_of_the_sources: Path) -> None:
    root = copy_of_the_sources
    first = build(root)
    assert (first.returncode, first.stderr.count("Building the functions' code")) == (0, 2), first.stderr
    built = bundles(root)
    lambdas = bundle(bundle_for="lambda", architecture="arm64").digest
    assert lambdas in built, "another folder, another hash"
    check_that_lambda_takes_its_bytecode(root / "build/bundle" / lambdas)

    (root / "infra/settings.py").touch()
    (root / "infra/trust_stack.py").write_text("# no function runs this")
    again = build(root)
    assert (again.returncode, again.stderr) == (0, "")
    assert bundles(root) == built

    (root / "ledger/errors.py").open("a").write("\n")
    (root / "cdk.json").write_text('{"context": {"zymkey-fleet.bundleFor": "host"}}')  # one is enough
    changed = build(root)
    assert changed.stderr.count("Building the functions' code") == 1, changed.stderr
    assert len(bundles(root) - built) == 1


def test_a_build_that_fails_says_what_to_do_and_leaves_nothing_half_made(
    copy_of_the_sources: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = copy_of_the_sources
    failed = build(root, UV_CACHE_DIR=str(tmp_path_factory.mktemp("empty-cache")))
    assert failed.returncode == 1
    assert "run `make setup`, after which no network is needed" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert bundles(root) == set()
