"""No command of bin/ imports what lies in the folder where somebody types it: it would run with their credentials."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHADOWED = [
    "json",
    "boto3",
    "botocore",
    "fleet",
    "device",
    "ledger",
    "pki",
    "cryptography",
    "argparse",
    "sitecustomize",
]
# What looks for a program's module: nothing, the shell's usual additions, and the folder by its name.
SEARCHES = [None, "", ":/nowhere", "/nowhere:", ".", "hostile", "/nowhere::/nowhere"]
FAILS_LATE = {
    "zymkey-fleet": ["list", "--json", "--region", "us-east-1"],
    "zymkey-iot": ["status", "--json"],
}


@pytest.fixture
def hostile_folder(tmp_path):
    """Each module that the commands import, as a file and as a package, leaves a trace when it is imported."""
    for name in SHADOWED:
        trap = f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n"
        for place in (tmp_path / f"{name}.py", tmp_path / "hostile" / name / "__init__.py"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(trap)
    return tmp_path


@pytest.mark.parametrize(
    ("program", "search"),
    [*(("zymkey-iot", search) for search in SEARCHES), ("zymkey-fleet", None), ("zymkey-fleet", "")],
)
def test_nothing_is_imported_from_the_folder_of_the_caller(program, search, hostile_folder):
    run(program, hostile_folder, {} if search is None else {"PYTHONPATH": search})
    assert not (hostile_folder / "ran").exists()


def test_the_operator_s_command_is_python_s_own_path_alone(hostile_folder):
    run("zymkey-fleet", hostile_folder, {"PYTHONPATH": str(hostile_folder), "PYTHONSTARTUP": "json.py"})
    assert not (hostile_folder / "ran").exists()


def run(program, folder, changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON", "ZYMKEY_"))}
    changes |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(folder), "ZYMKEY_IOT_STATE": str(folder / "state")}
    done = subprocess.run(
        [ROOT / "bin" / program, *FAILS_LATE[program]],
        cwd=folder,
        env=kept | changes,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    # It came as far as its own answer, by way of all that it imports.
    assert '"ok": false' in done.stdout, done.stderr
    assert done.returncode == {"zymkey-fleet": 4, "zymkey-iot": 12}[program]
