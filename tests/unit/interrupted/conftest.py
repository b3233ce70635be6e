"""A whole fleet for commands that are killed, and where the figures go."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.interrupted import moments, whole_fleet
from tests.support.interrupted.moments import Kills
from tests.support.interrupted.whole_fleet import WholeFleet


@pytest.fixture
def fleet_of(
    aws: Any, aws_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], AbstractContextManager[WholeFleet]]:
    """A function from an issuer to a fleet that runs."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_address)
    return lambda issuer: whole_fleet.running(aws, aws_address, monkeypatch, tmp_path, issuer)


@pytest.fixture
def kms(fleet_of: Callable[[str], AbstractContextManager[WholeFleet]]) -> Iterator[WholeFleet]:
    with fleet_of("kms") as fleet:
        yield fleet


@pytest.fixture
def external(fleet_of: Callable[[str], AbstractContextManager[WholeFleet]]) -> Iterator[WholeFleet]:
    with fleet_of("external") as fleet:
        yield fleet


@pytest.fixture
def tell(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[[Kills], None]:
    """Print what was hit, when more than a sample was tried."""

    def tell(kills: Kills) -> None:
        if moments.MOMENTS > 1:
            with capsys.disabled():
                print(f"\n{request.node.name}: {kills} (KILL_SEED={moments.SEED})")  # noqa: T201

    return tell
