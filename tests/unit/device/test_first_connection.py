"""A device that came out of the factory with a certificate: AWS IoT drops it once, and then it is in."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from sandbox.zymkey.device import SimulatedZymkey
from tests.unit.device.authority import DAY, Authority, common_name, now
from tests.unit.device.conftest import Pi
from tests.unit.device.data_endpoint import DataEndpoint
from tests.unit.device.est_server import Answer, EstServer
from tests.unit.device.mqtt_broker import MqttBroker

# The command as it is, but that it does not wait as long as a cloud may need.
HASTY = """
import sys
from device import first_connection
first_connection.FIRST_LOOK, first_connection.REGISTRATION_TIME = 0.1, 0.3
from device.cli import main
sys.exit(main())
"""


@dataclass
class Factory:
    """Where devices get a certificate of the fleet's CA, and the cloud that has not met it."""

    authority: Authority
    folder: Path
    broker: MqttBroker
    known: set[bytes]

    def certify(self, pi: Pi, name: str = "pi-7", **validity: object) -> x509.Certificate:
        """Sign a certificate for the device's key, and put it on its card."""
        key = pi.state / "key.pem"
        if pi.environment["ZYMKEY_IOT_KEY"] == "file:" and not key.exists():
            pi.state.mkdir(mode=0o700)
            software = ec.generate_private_key(ec.SECP256R1())
            key.write_bytes(software.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        shown = json.loads(pi.run("key", "--json").stdout)
        public_key = load_pem_public_key(shown["publicKey"].encode())
        return self.write(pi, self.authority.issue(public_key, common_name(name), **validity))  # type: ignore[arg-type]

    def write(self, pi: Pi, certificate: x509.Certificate) -> x509.Certificate:
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


def hasty(pi: Pi, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return pi.python("-c", HASTY, *arguments, **variables)


def kept(pi: Pi) -> x509.Certificate:
    return x509.load_pem_x509_certificate((pi.state / "certificate.pem").read_bytes())


def test_the_first_connection_is_dropped_and_said_and_costs_the_hsm_three_signatures(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    certificate = factory.certify(zymkey_pi)

    result = hasty(zymkey_pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert "AWS IoT always drops the first connection" in result.stdout
    assert "The key signed 3 times." in result.stdout
    assert zymkey.signatures() == 3
    assert factory.broker.client_ids == ["pi-7"]
    assert (est.enrollments, est.uploads) == ([], [])
    assert kept(zymkey_pi) == certificate
    assert [message.topic for message in endpoint.published] == ["devices/pi-7/bootstrap"]


def test_every_kind_of_key_gets_there(any_pi: Pi, factory: Factory) -> None:
    certificate = factory.certify(any_pi)

    result = hasty(any_pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert factory.broker.client_ids == ["pi-7"]
    assert kept(any_pi) == certificate


def test_afterwards_it_is_a_device_like_any_other_and_the_file_is_not_needed(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory, est: EstServer
) -> None:
    factory.certify(zymkey_pi)
    assert hasty(zymkey_pi, "bootstrap").returncode == 0
    before, asked = zymkey_pi.files(), len(est.asked)
    zymkey.reset()

    assert zymkey_pi.run("bootstrap").returncode == 0
    factory.card.unlink()
    for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_CERTIFICATE"):
        del zymkey_pi.environment[known]
    assert zymkey_pi.run("bootstrap").returncode == 0

    assert zymkey.signatures() == 2
    assert zymkey_pi.files() == before
    assert len(est.asked) == asked


def test_a_certificate_that_is_registered_is_taken_at_once(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory
) -> None:
    factory.known.add(factory.certify(zymkey_pi).public_bytes(Encoding.DER))

    assert zymkey_pi.run("bootstrap").returncode == 0

    assert zymkey.signatures() == 1
    assert factory.broker.client_ids == []


def test_the_certificate_names_a_device_that_nobody_has_named(pi: Pi, factory: Factory) -> None:
    del pi.environment["ZYMKEY_IOT_NAME"]
    factory.certify(pi, name="from-the-factory")

    result = hasty(pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert "from-the-factory is on AWS IoT" in result.stdout
    assert json.loads((pi.state / "device.json").read_text())["name"] == "from-the-factory"


def test_the_leaf_is_found_in_a_file_with_its_chain_in_any_order(pi: Pi, factory: Factory, est: EstServer) -> None:
    certificate = factory.certify(pi)
    chain = [each.public_bytes(Encoding.PEM) for each in (*est.authorities, certificate)]
    factory.card.write_bytes(b"".join(chain))

    assert hasty(pi, "bootstrap").returncode == 0

    assert kept(pi) == certificate


# Where the first connection is not enough


def nobody_hears(_: bytes) -> None:
    """Just-in-time registration is off, or its message was lost."""


def test_a_first_connection_that_nobody_hears_of_is_made_good_by_an_upload(
    pi: Pi, factory: Factory, est: EstServer
) -> None:
    certificate = factory.certify(pi)
    factory.broker.on_first_connection = nobody_hears

    result = hasty(pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert factory.broker.client_ids == ["pi-7"]
    (upload,) = est.uploads
    assert x509.load_pem_x509_certificate(upload.body) == certificate
    assert (upload.headers["content-type"], upload.credentials) == ("application/x-pem-file", None)


def test_a_token_is_shown_at_once_because_a_connection_cannot_show_it(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory, est: EstServer
) -> None:
    factory.certify(zymkey_pi)

    result = zymkey_pi.run("bootstrap", ZYMKEY_IOT_TOKEN="one-time")

    assert result.returncode == 0, result.stderr
    assert est.uploads[0].credentials == "pi-7:one-time"
    assert factory.broker.client_ids == []
    assert zymkey.signatures() == 2


@pytest.mark.parametrize("obstacle", ["port closed", "curl alone"])
def test_without_mqtt_the_upload_alone_will_do(zymkey_pi: Pi, factory: Factory, est: EstServer, obstacle: str) -> None:
    factory.certify(zymkey_pi)
    if obstacle == "port closed":
        est.configuration["mqttPort"] = 1
    else:
        zymkey_pi.environment["ZYMKEY_IOT_TLS"] = "curl"

    result = zymkey_pi.run("bootstrap")

    assert result.returncode == 0, result.stderr
    assert "not over MQTT" in result.stdout
    assert len(est.uploads) == 1


def test_a_key_that_nobody_knows_is_refused_and_let_in_later_without_arguments(
    pi: Pi, factory: Factory, est: EstServer
) -> None:
    certificate = factory.certify(pi)
    factory.broker.on_first_connection = nobody_hears
    est.upload_answers = [Answer(401, b"Nobody invited this key.")]

    result = hasty(pi, "bootstrap")

    assert result.returncode == 6
    assert "is not known (401): Nobody invited this key." in result.stderr
    assert "zymkey-fleet allow pi-7 --key SHA256:" in result.stderr
    assert not (pi.state / "certificate.pem").exists()

    for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_CERTIFICATE"):
        del pi.environment[known]
    assert hasty(pi, "bootstrap").returncode == 0
    assert kept(pi) == certificate


def test_an_upload_waits_for_the_operator_s_approval(pi: Pi, factory: Factory, est: EstServer) -> None:
    factory.certify(pi)
    factory.broker.on_first_connection = nobody_hears
    est.upload_answers = [Answer(202, b"waits for the operator's approval", {"Retry-After": "0"})] * 2

    result = hasty(pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert result.stdout.count("waits for the operator's approval") == 2
    est.registered.clear()
    (pi.state / "certificate.pem").unlink()
    est.upload_answers = [Answer(202, b"waits for the operator's approval", {"Retry-After": "3600"})]
    assert hasty(pi, "bootstrap").returncode == 7


def test_a_certificate_that_a_renewal_has_superseded_gives_way_to_the_one_that_is_current(
    pi: Pi, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    old = factory.certify(pi, until=now() + 20 * DAY)
    factory.broker.on_first_connection = nobody_hears
    est.upload_answers = [Answer(409, b"This certificate was already registered, and is deactivated now.")]
    endpoint.known = None
    endpoint.refuse = ["end"] * 50  # the old one, for as long as it is shown
    issue = est.issue

    def issue_and_relent(csr: bytes) -> x509.Certificate:
        endpoint.refuse.clear()
        return issue(csr)

    est.issue = issue_and_relent  # type: ignore[method-assign]

    result = hasty(pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert kept(pi) != old
    assert kept(pi).public_key() == old.public_key()


def test_a_renewed_certificate_is_not_given_up_for_the_factory_s(pi: Pi, factory: Factory, est: EstServer) -> None:
    old = factory.certify(pi, since=now() - 90 * DAY, until=now() + 10 * DAY)
    assert hasty(pi, "bootstrap").returncode == 0
    assert kept(pi) == old
    est.valid_since = timedelta(0)
    endpoint_knows = factory.known
    issue = est.issue

    def issue_and_register(csr: bytes) -> x509.Certificate:
        endpoint_knows.add(issue(csr).public_bytes(Encoding.DER))
        return issue(csr)

    est.issue = issue_and_register  # type: ignore[method-assign]
    assert pi.run("renew").returncode == 0
    renewed = kept(pi)
    assert renewed != old

    assert pi.run("bootstrap").returncode == 0

    assert kept(pi) == renewed


# What is no use


@dataclass(frozen=True)
class Useless:
    sentence: str
    exit_code: int
    changes: dict[str, object] = field(default_factory=dict)


USELESS = {
    "another name": Useless(
        "is for the name 'pi-8', and this device is 'pi-7' (ZYMKEY_IOT_NAME)", 12, {"name": "pi-8"}
    ),
    "no name": Useless("must be the device's name", 12, {"name": "not a name"}),
    "not yet valid": Useless("is valid from", 12, {"since": now() + DAY}),
}


@pytest.mark.parametrize("case", USELESS)
def test_a_certificate_that_is_no_use_is_told_before_anybody_is_asked(
    pi: Pi, factory: Factory, est: EstServer, case: str
) -> None:
    factory.certify(pi, **USELESS[case].changes)  # type: ignore[arg-type]

    result = pi.run("bootstrap")

    assert result.returncode == USELESS[case].exit_code
    assert USELESS[case].sentence in result.stderr
    assert "Try: " in result.stderr
    assert est.asked == []
    assert set(pi.files()) == {"key.pem", "lock"}


def test_a_certificate_for_another_key_is_told_with_both_fingerprints(
    pi: Pi, factory: Factory, authority: Authority, est: EstServer
) -> None:
    factory.certify(pi)
    other = ec.generate_private_key(ec.SECP256R1())
    factory.write(pi, authority.issue(other.public_key(), common_name("pi-7")))

    result = pi.run("bootstrap")

    assert result.returncode == 12
    assert result.stderr.count("SHA256:") == 2
    assert est.asked == []


@pytest.mark.parametrize(("content", "exit_code"), [(None, 2), (b"\x30\x82", 12), (b"", 12)])
def test_a_file_that_is_missing_or_not_pem_is_named(
    pi: Pi, factory: Factory, content: bytes | None, exit_code: int
) -> None:
    factory.certify(pi)
    factory.card.unlink()
    if content is not None:
        factory.card.write_bytes(content)

    result = pi.run("bootstrap")

    assert result.returncode == exit_code
    assert f"{factory.card} (ZYMKEY_IOT_CERTIFICATE)" in result.stderr


def test_an_expired_certificate_is_said_and_another_is_asked_for(
    pi: Pi, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    expired = factory.certify(pi, since=now() - 2 * DAY, until=now() - DAY)
    endpoint.known = None

    result = pi.run("bootstrap")

    assert result.returncode == 0, result.stderr
    assert f"the certificate in {factory.card} has expired" in result.stdout
    assert kept(pi) != expired
    assert len(est.enrollments) == 1


def test_a_certificate_that_the_fleet_never_takes_does_not_stay(
    pi: Pi, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    factory.certify(pi)
    est.authorities = [Authority("the fleet's CA").certificate]
    another_ca = pi.run("bootstrap")

    est.configuration["issuer"] = "kms"
    no_ca = pi.run("bootstrap")

    est.configuration["issuer"] = "external"
    est.authorities = [factory.authority.certificate]
    est.upload_answers = [Answer(400, b"The certificate's extendedKeyUsage lacks clientAuth.")]
    no_client = pi.run("bootstrap", ZYMKEY_IOT_TOKEN="one-time")

    assert [each.returncode for each in (another_ca, no_ca, no_client)] == [6, 6, 6]
    assert "signed by 'CN=loopback CA', and not by this fleet's CA, \"CN=the fleet's CA\"" in another_ca.stderr
    assert "its issuer is kms" in no_ca.stderr
    assert "does not take this certificate (400): The certificate's extendedKeyUsage lacks" in no_client.stderr
    assert "certificate.pem.new" not in pi.files()
    endpoint.known = None
    del pi.environment["ZYMKEY_IOT_CERTIFICATE"]
    assert pi.run("bootstrap").returncode == 0
