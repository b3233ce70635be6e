"""Which unit tests `make check` runs after a change."""

import subprocess
from pathlib import Path

import pytest

from tests.touched import UNIT, changes, touched, unit_tests


def folders(*changed):
    """The folders of the tests that a change touches; those of the repository itself, which always run, left out."""
    return {path.parent.name for path in touched(map(Path, changed)) if path.parent != UNIT}


@pytest.mark.parametrize(
    ("changed", "reached"),
    [
        ("functions/reply.py", {"functions"}),
        ("pki/csr.py", {"pki", "functions", "fleet"}),
        ("device/service/units/zymkey-iot-renew.timer", {"device"}),
        ("sandbox/zymkey/device.c", {"device", "sandbox"}),
        ("tests/support/aws_faults.py", {"functions"}),
        ("tests/support/device/kill_at_write.c", {"device"}),
        ("tests/unit/ledger/conftest.py", {"ledger"}),
    ],
)
def test_a_change_reaches_the_tests_that_import_it_directly_or_not(changed, reached):
    assert reached <= folders(changed)


@pytest.mark.parametrize(
    ("changed", "left_out"),
    [("functions/reply.py", "device"), ("device/cli.py", "functions"), ("tests/support/aws_faults.py", "device")],
)
def test_and_leaves_the_others_out(changed, left_out):
    assert left_out not in folders(changed)


def test_of_a_changed_test_only_itself_runs():
    assert touched([Path("tests/unit/pki/test_csr.py")]) - set(UNIT.glob("test_*.py")) == {
        Path("tests/unit/pki/test_csr.py")
    }


@pytest.mark.parametrize("changed", ["pyproject.toml", "requirements/development.txt", "Makefile"])
def test_what_cannot_be_traced_touches_all_tests(changed):
    assert touched([Path(changed)]) == set(unit_tests())


def test_a_text_touches_only_the_tests_of_the_whole_repository():
    assert folders("README.md", "docs/settings.md") == set()
    assert touched([Path("README.md")])


def test_changes_are_what_is_new_or_differs_from_the_upstream_branch_committed_or_not(tmp_path):
    def git(*arguments, cwd=tmp_path / "here"):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)

    def commit(name, cwd):
        (cwd / name).write_text(name)
        git("add", ".", cwd=cwd)
        git("commit", "-m", name, cwd=cwd)

    upstream, here = tmp_path / "upstream", tmp_path / "here"
    upstream.mkdir()
    git("init", "--initial-branch=main", cwd=upstream)
    commit("old", upstream)
    git("clone", str(upstream), str(here), cwd=tmp_path)
    assert changes(here) == set()

    commit("committed", here)
    commit("another's", upstream)
    git("fetch")
    (here / "old").write_text("changed")
    (here / "new").write_text("")
    assert changes(here) == {Path("committed"), Path("old"), Path("new")}
