"""A device keeps its certificate when it moves: to a deployment that knows it, and back, or to one that gets it."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi
from tests.support.device.two_fleets import Fleet, in_use, old, there

__all__ = ["old", "there", "zymkey_iot"]


@pytest.fixture
def same_ca(there: Fleet, est: EstServer) -> Fleet:
    """A deployment in another Region, with the same external CA: the device's certificate is registered there too."""
    cloud, endpoint = there
    cloud.issued.update(est.issued)
    assert endpoint.known is not None
    endpoint.known |= {each.public_bytes(Encoding.DER) for each in est.issued.values()}
    return there


def test_with_one_certificate_that_two_deployments_know_a_device_moves_and_comes_back(
    pi: Pi, same_ca: Fleet, est: EstServer, old: DataEndpoint, zymkey_iot: Command
) -> None:
    cloud, endpoint = same_ca
    before = in_use(pi)

    assert zymkey_iot("bootstrap", cloud.url).returncode == 0

    assert in_use(pi)[0] == before[0]
    assert json.loads((pi.state / "configuration.json").read_text())["httpsPort"] == endpoint.port
    assert [each.topic for each in endpoint.published] == ["devices/pi-7/bootstrap"]
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert endpoint.published[-1].topic == "devices/pi-7/x"

    assert zymkey_iot("bootstrap", est.url).returncode == 0

    assert in_use(pi) == before
    count = len(old.published)
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert len(old.published) == count + 1


def test_a_move_with_the_same_certificate_that_fails_leaves_the_old_deployment_in_use_and_can_be_finished(
    pi: Pi, same_ca: Fleet, old: DataEndpoint, zymkey_iot: Command
) -> None:
    cloud, endpoint = same_ca
    before = in_use(pi)
    endpoint.statuses = [400]
    assert zymkey_iot("bootstrap", cloud.url).returncode == 8
    assert in_use(pi) == before
    assert zymkey_iot("publish", "devices/pi-7/x", "x").returncode == 0
    assert old.published[-1].topic == "devices/pi-7/x"

    assert zymkey_iot("bootstrap").returncode == 0

    assert endpoint.published[-1].topic == "devices/pi-7/bootstrap"
    assert json.loads((pi.state / "configuration.json").read_text())["httpsPort"] == endpoint.port


def test_a_device_brings_its_certificate_to_a_deployment_that_has_not_seen_it(
    pi: Pi, there: Fleet, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.first_connection.FIRST_LOOK", 0.1)
    cloud, endpoint = there
    cloud.configuration["issuer"] = "external"
    register = cloud.register

    def register_and_know(pem: bytes) -> Answer:
        assert endpoint.known is not None
        endpoint.known.add(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))
        return register(pem)

    cloud.register = register_and_know  # type: ignore[method-assign]
    before = in_use(pi)

    done = zymkey_iot("bootstrap", cloud.url, "--certificate", str(pi.state / "certificate.pem"))

    assert done.returncode == 0, done.stderr
    assert in_use(pi)[0] == before[0]
    assert len(cloud.uploads) == 1
    assert endpoint.published[-1].topic == "devices/pi-7/bootstrap"
