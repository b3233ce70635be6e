"""Another fleet, for a device that moves. A fleet's data endpoint takes the certificates of its own cloud alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import EstServer
from tests.support.device.in_process import Command
from tests.support.device.pi import Pi

IN_USE = ("certificate.pem", "configuration.json", "device.json")
WHOLE = {*IN_USE, "key.pem", "lock"}

Fleet = tuple[EstServer, DataEndpoint]
"""A cloud and its data endpoint."""


def bind(est: EstServer, endpoint: DataEndpoint) -> None:
    """Have the endpoint take what this cloud has issued, and nothing else."""
    endpoint.known = set()
    issue = est.issue

    def issue_and_register(csr: bytes) -> x509.Certificate:
        certificate = issue(csr)
        assert endpoint.known is not None
        endpoint.known.add(certificate.public_bytes(Encoding.DER))
        return certificate

    est.issue = issue_and_register  # type: ignore[method-assign]


@contextmanager
def another_fleet(authority: Authority, pki: Path) -> Iterator[Fleet]:
    with (
        DataEndpoint(pki / "localhost.pem", pki / "ca.pem") as endpoint,
        EstServer(authority, pki / "localhost.pem", data_port=endpoint.port) as est,
    ):
        est.configuration["fleet"] = "another"
        bind(est, endpoint)
        yield est, endpoint


@pytest.fixture
def old(pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command) -> DataEndpoint:
    """The data endpoint of the fleet that the device is in. Nothing but the state folder and the roots is set."""
    bind(est, endpoint)
    assert zymkey_iot("bootstrap").returncode == 0
    for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_KEY"):
        del pi.environment[known]
    return endpoint


@pytest.fixture
def there(authority: Authority, pki: Path, old: DataEndpoint) -> Iterator[Fleet]:
    with another_fleet(authority, pki) as fleet:
        yield fleet


def in_use(pi: Pi) -> list[bytes]:
    """What tells one fleet from the other."""
    return [(pi.state / name).read_bytes() for name in IN_USE]
