"""Which files in on-renew.d are hooks, and which of those cannot be started or must not be trusted."""

import os
import stat
from pathlib import Path

import pytest

from device.hook_files import entries, fault, foreign

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "on-renew.d"
    path.mkdir(mode=0o755)
    return path


def write(folder: Path, name: str, mode: int = 0o755) -> Path:
    path = folder / name
    path.write_bytes(b"#!/bin/sh\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("x~", "x.bak", "x.BAK", "x.old", "x.orig", "x.save", "x.dpkg-old", "x.dpkg-dist", "x.dpkg-new", "x.ucf-dist"),
        *("x.rpmsave", "x.rpmnew", "x.pacsave", "#x#", "x.swp", "x.swo", "x.tmp"),
    ],
)
def test_what_editors_and_package_managers_leave_is_not_run_and_nobody_counts_on_it(folder: Path, name: str) -> None:
    found = fault(write(folder, name))

    assert found is not None
    assert (found.expected, "leftover" in found.reason) == (False, True)


@pytest.mark.parametrize("name", ["10-tell", "tell.sh", "old.py", "restart-mosquitto", "old"])
def test_other_names_are_hooks(folder: Path, name: str) -> None:
    assert fault(write(folder, name)) is None


def test_without_a_folder_there_are_no_hooks(folder: Path) -> None:
    assert entries(folder / "none") == []


def test_hidden_files_are_no_entries_and_the_rest_is_in_order(folder: Path) -> None:
    for name in ("20-b", "10-a", ".swap"):
        write(folder, name)
    assert [path.name for path in entries(folder)] == ["10-a", "20-b"]


def test_a_hook_is_refused_when_its_file_a_folder_or_a_link_on_its_way_can_be_changed_by_others(tmp_path: Path) -> None:
    outer, inner = tmp_path / "opt", tmp_path / "opt" / "app"
    inner.mkdir(parents=True, mode=0o755)
    hook = write(inner, "hook")
    (tmp_path / "on-renew.d").mkdir(mode=0o755)
    entry = tmp_path / "on-renew.d" / "10-hook"
    entry.symlink_to("../opt/./app/hook")
    assert fault(entry) is None

    for path, mode in ((hook, 0o757), (inner, 0o757), (outer, 0o757), (tmp_path / "on-renew.d", 0o757)):
        before = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode)
        found = fault(entry)
        path.chmod(before)
        assert found is not None
        assert (found.expected, str(path) in found.reason) == (True, True)
    assert fault(entry) is None


def test_a_folder_where_each_has_files_of_their_own_will_do_on_the_way_but_not_as_the_folder_of_hooks(
    tmp_path: Path,
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "mine").mkdir(mode=0o755)

    assert foreign(write(shared / "mine", "hook")) is None
    assert foreign(shared, among_others=False) is not None


def test_what_the_group_can_write_is_refused_for_root(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = write(folder, "10-hook", mode=0o775)
    if os.geteuid() != 0:
        assert fault(hook) is None, "a user's own group is the user"
        return
    assert "other users can write" in (fault(hook) or pytest.fail()).reason


@pytest.mark.parametrize("which", ["file", "folder", "link"])
def test_root_runs_nothing_that_belongs_to_another(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    target = write(tmp_path, "target")
    hook = folder / "10-hook"
    hook.symlink_to(target)
    path = {"file": target, "folder": folder, "link": hook}[which]
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 0)  # and everything here belongs to the user of the tests
        path = tmp_path.parent

    found = fault(hook)

    assert found is not None
    assert "belongs to" in found.reason
    assert str(path) in found.reason or os.geteuid() == 0 != os.getuid()


def test_what_is_roots_is_trusted_by_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)

    assert foreign(Path("/usr/bin/env")) is None


def test_links_in_a_circle_are_said(folder: Path) -> None:
    (folder / "10-hook").symlink_to("20-hook")
    (folder / "20-hook").symlink_to("10-hook")

    found = fault(folder / "10-hook")

    assert found is not None
    assert "where nothing is" in found.reason
    with pytest.raises(OSError):
        foreign(folder / "10-hook")
