"""Another fleet, for a device that moves. A fleet's data endpoint takes the certificates of its own cloud alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import EstServer


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
def another_fleet(authority: Authority, pki: Path) -> Iterator[tuple[EstServer, DataEndpoint]]:
    """A cloud and its data endpoint."""
    with (
        DataEndpoint(pki / "localhost.pem", pki / "ca.pem") as endpoint,
        EstServer(authority, pki / "localhost.pem", data_port=endpoint.port) as est,
    ):
        est.configuration["fleet"] = "another"
        bind(est, endpoint)
        yield est, endpoint
