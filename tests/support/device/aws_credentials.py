"""A device of a fleet that gives its devices AWS credentials, and its folder in memory."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.device.credential_provider import ALIAS, CredentialProvider
from tests.support.device.est_server import EstServer
from tests.support.device.pi import Pi


@pytest.fixture
def provider(pki: Path, est: EstServer) -> Iterator[CredentialProvider]:
    with CredentialProvider(pki / "localhost.pem", pki / "ca.pem") as server:
        est.configuration["credentials"] = {"endpoint": "localhost", "roleAlias": ALIAS}
        yield server


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """This user's folder in memory."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def device(pi: Pi, provider: CredentialProvider, memory: Path) -> Pi:
    """A device that has bootstrapped, in a fleet that gives its devices credentials."""
    pi.environment |= {"IOT_CREDENTIAL_ENDPOINT": provider.endpoint, "XDG_RUNTIME_DIR": str(memory)}
    done = pi.run("bootstrap")
    assert done.returncode == 0, done.stderr
    return pi


def given(done: "subprocess.CompletedProcess[str]") -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document
