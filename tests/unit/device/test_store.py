"""Files that are whole or absent, owned as before, and storage that fails with a sentence."""

import errno
import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from device.candidate import Candidate
from device.errors import AlreadyRunning, StorageError
from device.storage import TEMPORARY_PREFIX, storage_errors, write_atomically
from device.store import StateFolder

OLD = Candidate(device={"name": "pi-7", "url": "https://old.example"}, certificate=b"old", configuration=b"{}")
NEW = Candidate(device={"name": "pi-7", "url": "https://new.example"}, certificate=b"new", configuration=b"{ }")


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    state = StateFolder(tmp_path / "state")
    with state.locked():
        pass
    return state


def test_the_same_content_again_touches_no_file(folder: StateFolder) -> None:
    folder.keep_candidate(OLD)
    before = folder.candidate_path.stat()

    folder.keep_candidate(OLD)

    after = folder.candidate_path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_a_killed_process_left_is_swept_away(folder: StateFolder) -> None:
    leftover = folder.path / f"{TEMPORARY_PREFIX}certificate.pem.new-123"
    leftover.write_bytes(b"half a certif")

    with folder.locked():
        assert not leftover.exists()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.keep_candidate(OLD)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        folder.keep_candidate(NEW)

    assert folder.candidate() == OLD
    assert sorted(path.name for path in folder.path.iterdir()) == ["candidate.json", "lock"]


def test_root_gives_files_to_the_owner_of_the_folder(folder: StateFolder) -> None:
    if os.geteuid() == 0:
        os.chown(folder.path, 12345, 12346)
    owner = folder.path.stat()

    folder.keep_candidate(NEW)
    folder.promote(OLD)

    for path in folder.path.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (owner.st_uid, owner.st_gid) or path.name == "lock"


def test_only_one_holds_the_lock(folder: StateFolder) -> None:
    with folder.locked(), pytest.raises(AlreadyRunning), StateFolder(folder.path).locked():
        pass
    with folder.locked():
        pass


def test_the_lock_is_lent_and_taken_back(folder: StateFolder) -> None:
    with folder.locked():
        with folder.unlocked(patience=lambda: 0.0), StateFolder(folder.path).locked():
            pass
        with pytest.raises(AlreadyRunning), StateFolder(folder.path).locked():
            pass


def test_a_lock_that_does_not_come_back_is_waited_for_with_bounded_patience(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("device.store.time", SimpleNamespace(sleep=waited.append))
    with (
        ExitStack() as other,
        pytest.raises(AlreadyRunning),
        folder.locked(),
        folder.unlocked(patience=lambda: 3.0 - len(waited)),
    ):
        other.enter_context(StateFolder(folder.path).locked())
    assert len(waited) == 3


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EROFS, "read-only"),
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "this user may not"),
        (errno.EIO, "the disk fails"),
        (errno.ENOTDIR, "Not a directory"),
    ],
)
def test_each_refusal_of_the_system_has_its_sentence(number: int, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence) as refused, storage_errors(Path("/var/lib/zymkey-iot")):
        raise OSError(number, os.strerror(number))
    assert "/var/lib/zymkey-iot" in refused.value.cause
    assert refused.value.cure


def test_a_full_disk_for_real(tmp_path: Path) -> None:
    with pytest.raises(OSError) as full:
        write_atomically(Path("/dev/full/x"), b"x", mode=0o600)
    assert full.value.errno == errno.ENOTDIR
    with (
        Path("/dev/full").open("wb", buffering=0) as device,
        pytest.raises(StorageError, match="disk is full"),
        storage_errors(tmp_path),
    ):
        device.write(b"x")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_a_file_system_without_locks_has_its_sentence(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StorageError, match="cannot lock files") as refused, folder.locked():
        pytest.fail("nothing is locked")
    assert "--state DIR" in refused.value.cure


def test_a_lock_that_fails_for_another_reason_has_its_sentence(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StorageError, match="the disk fails"), folder.locked():
        pytest.fail("nothing is locked")
