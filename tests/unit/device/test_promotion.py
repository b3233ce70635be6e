"""What is proved goes into use as one: all three files, whichever of them a power cut has left to be copied."""

import json
import os
import stat
from pathlib import Path

import pytest

from device.candidate import Candidate
from device.store import StateFolder

PROVED = Candidate(
    device={"url": "https://new.example", "name": "pi-7"},
    certificate=b"new PEM\xff",
    configuration=b'{"fleet": "new"}',
)
OLD = Candidate(device={"url": "https://old.example"}, certificate=b"old PEM", configuration=b'{"fleet": "old"}')


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """A folder that is in use."""
    folder = StateFolder(tmp_path)
    with folder.locked():
        folder.promote(OLD)
        folder.hooks_are_done()
    return folder


def content(folder: StateFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.path.iterdir()}


def test_what_is_proved_is_in_its_three_files_and_hooks_wait(state: StateFolder) -> None:
    with state.locked():
        state.keep_candidate(PROVED)
        state.promote(PROVED)
    assert content(state) == {
        "certificate.pem": PROVED.certificate,
        "configuration.json": PROVED.configuration,
        "device.json": (json.dumps(PROVED.device, indent=2) + "\n").encode(),
        "on-renew.pending": b"",
        "lock": b"",
    }
    assert state.hooks_are_pending()
    assert state.in_use() == PROVED


def test_the_same_certificate_again_is_no_news_for_hooks(state: StateFolder) -> None:
    with state.locked():
        state.promote(Candidate(device={}, certificate=OLD.certificate, configuration=OLD.configuration))
    assert not state.hooks_are_pending()


def test_all_of_it_is_in_use_before_anything_is_copied(state: StateFolder) -> None:
    (state.path / "promotion.json").write_bytes(PROVED.to_json())
    assert state.in_use() == PROVED
    before = content(state)
    assert StateFolder(state.path).certificate() == PROVED.certificate
    assert content(state) == before, "reading changes nothing"
    with state.locked():
        pass
    assert not (state.path / "promotion.json").exists()
    assert state.certificate_path.read_bytes() == PROVED.certificate
    assert state.in_use() == PROVED
    assert state.hooks_are_pending()


def test_a_promotion_that_is_not_whole_changes_nothing(state: StateFolder) -> None:
    for unfinished in (b"", b"{", Candidate(device={}, certificate=b"x").to_json()):
        (state.path / "promotion.json").write_bytes(unfinished)
        with state.locked():
            assert state.in_use() == OLD
        assert not (state.path / "promotion.json").exists()


def test_a_candidate_that_is_another_stays_to_be_tried(state: StateFolder) -> None:
    other = Candidate(device={"url": "https://third.example"}, certificate=b"third PEM")
    with state.locked():
        state.keep_candidate(other)
        state.promote(PROVED)
        assert state.candidate() == other
        state.drop_candidate()
    assert state.candidate() is None


def test_a_candidate_of_the_first_release_is_found_and_dropped(state: StateFolder) -> None:
    (state.path / "certificate.pem.new").write_bytes(b"untried PEM")
    assert state.candidate() == Candidate(device=OLD.device, certificate=b"untried PEM")
    with state.locked():
        state.drop_candidate()
    assert state.candidate() is None
    assert not (state.path / "certificate.pem.new").exists()


def test_others_may_read_what_is_no_secret_and_nothing_else(state: StateFolder) -> None:
    secret = Candidate(
        device={"proxy": "http://me:word@proxy.example"}, certificate=b"x", configuration=OLD.configuration
    )
    old = os.umask(0)
    try:
        with state.locked():
            state.keep_candidate(PROVED)
            modes = {"candidate.json": mode(state.candidate_path)}
            state.promote(PROVED)
            modes |= {path.name: mode(path) for path in (state.certificate_path, state.device_path)}
            state.promote(secret)
            modes["device.json with a password"] = mode(state.device_path)
    finally:
        os.umask(old)
    assert modes == {
        "candidate.json": 0o600,
        "certificate.pem": 0o644,
        "device.json": 0o644,
        "device.json with a password": 0o600,
    }


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
