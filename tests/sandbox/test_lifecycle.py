"""The sandbox's processes: started once, repaired when they died, out of others' way, and all gone afterwards."""

import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import emulator, lifecycle
from sandbox.addresses import Addresses
from sandbox.certificates import ServerCertificates, ensure_server_certificates
from sandbox.data_endpoint.process import ensure_data_endpoint
from sandbox.emulator import emulator_environment, emulator_process, ensure_emulator, is_healthy, mqtt_root_certificate
from sandbox.environment import aws_environment
from sandbox.errors import SandboxError


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[Addresses]:
    """A second sandbox, beside the one that other tests use."""
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        for probe in (one, two, three):
            probe.bind(("127.0.0.1", 0))
        gateway_port, https_port, mqtt_port = (probe.getsockname()[1] for probe in (one, two, three))
    addresses = Addresses(
        gateway_port=gateway_port, https_port=https_port, mqtt_port=mqtt_port, directory=tmp_path / "sandbox"
    )
    yield addresses
    lifecycle.stop(addresses, print)


@pytest.fixture
def certificates(addresses: Addresses) -> ServerCertificates:
    return ensure_server_certificates(addresses.directory)


def start(addresses: Addresses, certificates: ServerCertificates) -> tuple[bool, bool]:
    """Start the processes, without a deployment; say which of the two had to be started."""
    aws = {**aws_environment(addresses, certificates), **addresses.to_environment(), "PATH": os.environ["PATH"]}
    return ensure_emulator(addresses, certificates), ensure_data_endpoint(addresses, certificates, aws)


def test_what_runs_is_not_started_again_and_stops_when_told(
    addresses: Addresses, certificates: ServerCertificates
) -> None:
    assert start(addresses, certificates) == (True, True)
    assert start(addresses, certificates) == (False, False)
    running = lifecycle.status(addresses)
    assert running["emulator"]
    assert running["data endpoint"]
    assert lifecycle.stop(addresses, print)
    assert not any(lifecycle.status(addresses).values())
    assert not lifecycle.stop(addresses, print)


def test_a_crashed_emulator_is_started_again(addresses: Addresses, certificates: ServerCertificates) -> None:
    start(addresses, certificates)
    record = addresses.directory / "emulator.pid"
    os.kill(int(record.read_text().split()[0]), signal.SIGKILL)
    while emulator_process(addresses).is_running():
        pass
    assert lifecycle.status(addresses)["emulator"] is None
    assert start(addresses, certificates) == (True, False)
    assert is_healthy(addresses, certificates)


@pytest.mark.parametrize("port", ["gateway_port", "https_port", "mqtt_port"])
def test_another_programs_port_is_left_alone_and_named(
    addresses: Addresses, certificates: ServerCertificates, port: str
) -> None:
    number = getattr(addresses, port)
    with socket.create_server(("127.0.0.1", number)) as other:
        with pytest.raises(SandboxError, match=f"Port {number} is in use"):
            start(addresses, certificates)
        assert other.fileno() >= 0


def test_an_emulator_that_cannot_start_says_why(addresses: Addresses, certificates: ServerCertificates) -> None:
    certificates.key.write_text("not a key")
    with pytest.raises(SandboxError, match=r"did not start\. The end of"):
        ensure_emulator(addresses, certificates)


BEFORE_PYTHON_3_11_4 = """
import asyncio.selector_events
import sys

def _add_reader(self, fd, callback, *arguments):
    if getattr(self, "_paused", False):
        print("reads although it is paused", file=sys.stderr, flush=True)
    if not self._closing:
        self._loop._add_reader(fd, callback, *arguments)

asyncio.selector_events._SelectorTransport._add_reader = _add_reader
"""
"""What asyncio did until https://github.com/python/cpython/issues/103607, for any Python to do."""


def test_the_first_mqtt_client_is_answered_whatever_the_python(
    addresses: Addresses, certificates: ServerCertificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BEFORE_PYTHON_3_11_4)
    environment = emulator_environment(addresses) | {"PYTHONPATH": str(tmp_path)}
    monkeypatch.setattr(emulator, "emulator_environment", lambda _: environment)
    ensure_emulator(addresses, certificates)
    trusting = ssl.create_default_context(cadata=mqtt_root_certificate(addresses, certificates).decode())
    with (
        socket.create_connection(("127.0.0.1", addresses.mqtt_port), timeout=5) as connection,
        trusting.wrap_socket(connection, server_hostname="localhost") as client,
    ):
        assert client.version()
    assert "reads although it is paused" in emulator_process(addresses).log.read_text()
