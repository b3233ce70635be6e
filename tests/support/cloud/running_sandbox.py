"""The running sandbox, for tests that need the whole cloud.

`pytest tests/sandbox` starts a sandbox, or uses the one that runs, brought up to date with the code. One that the
tests started is stopped after them.

With `-n 3` there are three side by side, one for each issuer, since changing the issuer is a
deployment.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from xdist.scheduler import LoadScopeScheduling

from sandbox import lifecycle
from sandbox.addresses import Addresses
from sandbox.environment import sourced
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.cloud.fault_proxy import FaultProxy

# A shell starts what it runs in the background with Ctrl-C ignored, and what is ignored is inherited: the commands
# that tests interrupt would not notice.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True, kw_only=True)
class RunningSandbox:
    """A deployed sandbox: `env` is what a shell has that sourced build/sandbox.env, `url` the enrollment URL."""

    addresses: Addresses
    outputs: dict[str, str]
    env: dict[str, str]

    @property
    def url(self) -> str:
        return self.env["ENROLLMENT_URL"]

    @property
    def issuer(self) -> str:
        return self.outputs["Issuer"]

    def boto(self, service: str, **options: Any) -> Any:
        """A boto3 client of `service` with the sandbox's root credentials, whatever this process's own are."""
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            verify=self.env["AWS_CA_BUNDLE"],
            region_name=self.env["AWS_REGION"],
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
            **options,
        )


@pytest.fixture(scope="session", params=["kms"])
def issuer(request: pytest.FixtureRequest) -> str:
    """Who signs. Another one for a test: `@pytest.mark.parametrize("issuer", ["aws"], indirect=True)`."""
    return str(request.param)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return IssuerScheduling(config, log)


class IssuerScheduling(LoadScopeScheduling):
    """The tests of one issuer go to one worker, one after the other; tests without one go wherever there is room.

    `--dist loadgroup` is meant for this, but xdist 3.8 marks groups in a way that pytest 9.2 no longer looks at.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _issuer_of(nodeid) or nodeid


def _issuer_of(nodeid: str) -> str | None:
    parameters = nodeid.rpartition("[")[2].rstrip("]").split("-")
    return next((issuer for issuer in ("external", "aws", "kms") if issuer in parameters), None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of each issuer's tests, those that start the sandbox come first; the others use what these started."""
    first: dict[str, int] = {}
    for number, item in enumerate(items):
        first.setdefault(_issuer_of(item.nodeid) or item.nodeid, number)

    def order(item: pytest.Item) -> tuple[int, bool]:
        return first[_issuer_of(item.nodeid) or item.nodeid], "unstarted" not in getattr(item, "fixturenames", ())

    items.sort(key=order)


def _addresses() -> Addresses:
    """Those of the environment; further workers' are beside them."""
    addresses = Addresses.from_environment()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    offset = 100 * int(worker.removeprefix("gw"))
    if offset == 0:
        return addresses
    return Addresses(
        gateway_port=addresses.gateway_port + offset,
        https_port=addresses.https_port + offset,
        mqtt_port=addresses.mqtt_port + offset,
        directory=addresses.directory.parent / worker / addresses.directory.name,
    )


@pytest.fixture(scope="session")
def _stopped_afterwards() -> Iterator[None]:
    addresses = _addresses()
    was_running = lifecycle.status(addresses)["emulator"] is not None
    yield
    if not was_running:
        lifecycle.stop(addresses, print)


@pytest.fixture
def unstarted(_stopped_afterwards: None) -> Addresses:
    """Where this worker's sandbox is going to be: not up yet, unless it ran before the tests or for another issuer."""
    return _addresses()


@pytest.fixture(scope="session")
def sandbox(_stopped_afterwards: None, issuer: str) -> RunningSandbox:
    return start_sandbox(_addresses(), issuer)


def start_sandbox(addresses: Addresses, issuer: str, **options: Any) -> RunningSandbox:
    """Start it, or bring the one that runs up to date. `options` are those of `lifecycle.start`."""
    started = lifecycle.start(addresses, issuer, print, **options)
    return RunningSandbox(
        addresses=started.addresses,
        outputs=dict(started.deployment.outputs),
        env=sourced(started.environment_file),
    )


@pytest.fixture
def zymkey(tmp_path: Path) -> SimulatedZymkey:
    """A Zymkey fresh from the factory, with keys of its own."""
    return SimulatedZymkey(tmp_path / "zymkey")


@pytest.fixture
def device_env(sandbox: RunningSandbox, zymkey: SimulatedZymkey, tmp_path: Path) -> dict[str, str]:
    """The environment of one device: the sandbox's, its own Zymkey, its own state folder."""
    return {**sandbox.env, **zymkey.environment(), "ZYMKEY_IOT_STATE": str(tmp_path / "state")}


@pytest.fixture(scope="module")
def faults(sandbox: RunningSandbox) -> Iterator[FaultProxy]:
    """A proxy that breaks AWS calls of the deployed HTTP API function, which stays behind it until the module ends.

    Clear its rules in each test: `with faults.breaking({...}):` does.
    """
    with FaultProxy.in_front_of_enrollment(sandbox.boto, sandbox.outputs, sandbox.env) as proxy:
        yield proxy
