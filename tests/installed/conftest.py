"""The device's distribution, installed as on a Pi, for each Python that Raspberry Pi OS has and this machine too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.wheel import REPOSITORY, build_wheel
from tests.support.installation import LOCKED, OTHER_VERSIONS, PYTHONS, Installation, install


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A Python that was not tried is not passed over in silence."""
    for version in OTHER_VERSIONS:
        if version not in PYTHONS:
            terminalreporter.section("NOT TESTED HERE", red=True)
            terminalreporter.line(
                f"Python {version}, which trixie has: none was found on this machine. Once it is on PATH"
                f" (apt install python{version}, uv python install {version}, or pyenv), these tests use it."
            )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session", params=PYTHONS)
def installation(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installed") / request.param
    install(folder, PYTHONS[request.param], *LOCKED, "-r", REPOSITORY / "requirements" / "device.txt")
    install(folder, PYTHONS[request.param], "--no-deps", wheel)
    yield Installation(folder)
