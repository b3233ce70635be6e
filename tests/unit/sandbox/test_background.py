"""Background processes: found when they run, gone when they are stopped, and never taken for another."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.background import BackgroundProcess, version_of

SLEEP = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[BackgroundProcess]:
    process = BackgroundProcess(name="sleeper", directory=tmp_path, version="1")
    yield process
    process.stop()


def start(process: BackgroundProcess, code: str = SLEEP, environment: dict[str, str] | None = None) -> int:
    process.start([sys.executable, "-c", code], environment or {}, folder=process.directory)
    return int((process.directory / "sleeper.pid").read_text().split()[0])


def is_alive(identifier: int) -> bool:
    try:
        os.kill(identifier, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{identifier}/stat").read_text().split()[2] != "Z"


def wait_for(process: BackgroundProcess, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in process.last_lines():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_runs_before_it_is_started(process: BackgroundProcess) -> None:
    assert not process.is_running()
    assert not process.stop()


def test_it_runs_until_it_is_stopped_and_stopping_can_be_repeated(process: BackgroundProcess) -> None:
    identifier = start(process)
    assert process.is_running()
    assert process.stop()
    assert not process.is_running()
    assert not is_alive(identifier)
    assert not process.stop()


def test_one_that_ended_by_itself_does_not_run(process: BackgroundProcess) -> None:
    start(process, "print('done')")
    wait_for(process, "done")
    deadline = time.monotonic() + 10
    while process.is_running():
        assert time.monotonic() < deadline
    assert not process.stop()


def test_another_program_with_its_process_id_is_not_taken_for_it(process: BackgroundProcess) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as bystander:
        (process.directory / "sleeper.pid").write_text(f"{bystander.pid} 1\n")
        assert not process.is_running()
        assert not process.stop()
        assert bystander.poll() is None
        bystander.kill()


def test_stopping_ends_its_children_and_the_stubborn(process: BackgroundProcess) -> None:
    start(process, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUBBORN!r}])")
    wait_for(process, "ready")
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", (process.directory / "sleeper.pid").read_text().split()[0]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    process.stop()
    assert children
    # SIGKILL is not waited for.
    deadline = time.monotonic() + 10
    while any(is_alive(int(child)) for child in children):
        assert time.monotonic() < deadline


def test_it_gets_the_given_environment_and_nothing_else(
    process: BackgroundProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    start(process, "import os; print(sorted(os.environ))", {"GIVEN": "1"})
    wait_for(process, "]")
    assert "'GIVEN'" in process.last_lines()
    assert "SECRET_OF_THE_CALLER" not in process.last_lines()


def test_a_second_start_is_refused_while_the_first_runs(process: BackgroundProcess) -> None:
    identifier = start(process)
    with pytest.raises(BlockingIOError):
        start(process)
    assert is_alive(identifier)


def test_one_of_another_version_runs_but_is_not_current(process: BackgroundProcess) -> None:
    start(process)
    newer = replace(process, version="2")
    assert process.is_current()
    assert newer.is_running()
    assert not newer.is_current()


def test_a_version_changes_with_settings_and_with_the_content_of_files(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text("a")
    before = version_of({"port": 1}, source)
    assert version_of({"port": 1}, source) == before
    assert version_of({"port": 2}, source) != before
    source.write_text("b")
    assert version_of({"port": 1}, source) != before
