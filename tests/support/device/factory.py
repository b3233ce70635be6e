"""A factory that gives devices their certificate, and a cloud on loopback that has never met it."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_public_key

from tests.support.device.authority import Authority, common_name
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import EstServer
from tests.support.device.mqtt_broker import MqttBroker

if TYPE_CHECKING:
    from tests.support.device.pi import Pi


def hasty_first_connection(first_look: float, registration_time: float) -> str:
    """A change of the command: it does not wait as long as a cloud may need. The arguments are in seconds."""
    return f"""
from device import first_connection
first_connection.FIRST_LOOK, first_connection.REGISTRATION_TIME = {first_look}, {registration_time}
"""


HASTY = hasty_first_connection(0.1, 0.3) + "import sys; from device.cli import main; sys.exit(main())"


@dataclass
class Factory:
    """Where devices get a certificate of the fleet's CA, and the cloud that has not met it."""

    authority: Authority
    folder: Path
    broker: MqttBroker
    known: set[bytes]

    def certify(self, pi: "Pi", name: str = "pi-7", **validity: object) -> x509.Certificate:
        """Sign a certificate for the device's key, and put it on its card."""
        key = pi.state / "key.pem"
        if pi.environment["ZYMKEY_IOT_KEY"] == "file:" and not key.exists():
            pi.state.mkdir(mode=0o700)
            software = ec.generate_private_key(ec.SECP256R1())
            key.write_bytes(software.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        shown = json.loads(pi.run("key", "--json").stdout)
        public_key = load_pem_public_key(shown["publicKey"].encode())
        return self.write(pi, self.authority.issue(public_key, common_name(name), **validity))  # type: ignore[arg-type]

    def write(self, pi: "Pi", certificate: x509.Certificate) -> x509.Certificate:
        self.card.write_bytes(certificate.public_bytes(Encoding.PEM))
        pi.environment["ZYMKEY_IOT_CERTIFICATE"] = str(self.card)
        return certificate

    @property
    def card(self) -> Path:
        return self.folder / "card.crt"


@pytest.fixture
def factory(
    authority: Authority, pki: Path, est: EstServer, endpoint: DataEndpoint, tmp_path: Path
) -> Iterator[Factory]:
    """AWS IoT knows no certificate, and activates each that comes with an MQTT CONNECT."""
    # The broker trusts the root alone, so only who shows the CA along with the certificate gets through.
    root = Authority("root")
    est.authorities = [root.vouch_for(authority)]
    with MqttBroker(pki / "localhost.pem", root.write_pem(tmp_path / "root.pem"), est.registered) as broker:
        broker.on_first_connection = est.registered.add
        endpoint.known = est.registered
        est.configuration |= {"issuer": "external", "mqttPort": broker.port}
        yield Factory(authority, tmp_path, broker, est.registered)


def hasty(pi: "Pi", *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return pi.forked("-c", HASTY, *arguments, **variables)


def kept(pi: "Pi") -> x509.Certificate:
    return x509.load_pem_x509_certificate((pi.state / "certificate.pem").read_bytes())
