"""Two addresses of one fleet on loopback, of which it announces the second: what one has issued, the other knows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device.settings import load
from tests.support.device.authority import Authority
from tests.support.device.est_server import EstServer
from tests.support.device.in_process import Command
from tests.support.device.pi import Pi

NOT_DUE = 13
NOWHERE = "https://localhost:1/stage"
RENEW = ("renew", "--if-due", "--give-up-after", "0s")


def kept(pi: Pi) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((pi.state / "device.json").read_text())
    return document


def urls(pi: Pi) -> tuple[str, str | None]:
    return kept(pi)["url"], kept(pi).get("fallback-url")


def warnings(stdout: str) -> list[str]:
    """Those of a report in JSON, but for the one that the key is software."""
    return [each for each in json.loads(stdout)["warnings"] if "SOFTWARE key" not in each]


def make_due(est: EstServer) -> None:
    """The next certificate is a new one; what was issued before is old."""
    est.issued.clear()
    est.valid_since = timedelta(0)


def changed(new: EstServer, **changes: Any) -> None:
    new.configuration = new.configuration | changes


@pytest.fixture
def device(pi: Pi, est: EstServer, zymkey_iot: Command) -> Pi:
    """A device whose certificate is due. It knows what its state folder holds, and the roots."""
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert zymkey_iot("bootstrap").returncode == 0
    for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_KEY"):
        del pi.environment[known]
    make_due(est)
    return pi


@contextmanager
def beside(est: EstServer, authority: Authority, server_pem: Path) -> Iterator[EstServer]:
    """Another address of the same fleet."""
    with EstServer(authority, server_pem) as server:
        server.issue = est.issue  # type: ignore[method-assign]
        server.configuration = est.configuration
        yield server


@pytest.fixture
def new(device: Pi, est: EstServer, authority: Authority, pki: Path) -> Iterator[EstServer]:
    """The address that the fleet announces from now on, at both of its addresses."""
    with beside(est, authority, pki / "localhost.pem") as server:
        est.configuration["enrollmentUrl"] = server.url
        yield server


@pytest.fixture
def moved(device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command) -> Pi:
    """The device after it has taken up the new URL; its next renewal is due."""
    est.valid_for = timedelta(days=100)
    est.valid_since = timedelta(days=-90)
    assert zymkey_iot("renew").returncode == 0
    assert urls(device) == (new.url, est.url)
    make_due(est)
    est.asked.clear()
    new.asked.clear()
    return device


@pytest.fixture
def settings_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "zymkey-iot.toml"
    monkeypatch.setattr(load, "__kwdefaults__", {**(load.__kwdefaults__ or {}), "files": [file]})
    return file
