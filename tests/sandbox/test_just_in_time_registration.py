"""A certificate that nobody has registered meets AWS IoT: the sandbox's HTTPS endpoint and the emulator's broker agree.

Each pair of judgements is made of two certificates of one CA, one over HTTPS and one over MQTT.
"""

import datetime as dt
import json
import queue
import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pki.certificates import device_certificate
from pki.fingerprint import certificate_id
from pki.names import common_name_only
from tests.support.cloud.mqtt import MqttConnection
from tests.support.cloud.running_sandbox import RunningSandbox
from tests.support.cloud.switches import https_registers_nothing

REGISTERED = {"caCertificateId", "certificateStatus", "awsAccountId", "certificateRegistrationTimestamp", "sourceIp"}


@dataclass(frozen=True, kw_only=True)
class Newcomer:
    name: str
    certificate: x509.Certificate
    files: tuple[Path, Path]

    @property
    def id(self) -> str:
        return certificate_id(self.certificate)


@dataclass(kw_only=True)
class Factory:
    """A CA that the account has registered; it makes certificates that the account has not seen."""

    sandbox: RunningSandbox
    folder: Path
    ca: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    made: list[str]

    def newcomer(self) -> Newcomer:
        name = f"newcomer-{secrets.token_hex(4)}"
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = device_certificate(
            signer=self.key,
            ca=self.ca,
            key=key.public_key(),
            device=name,
            subject={},
            validity_days=1,
            now=dt.datetime.now(dt.UTC),
        )
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.made.append(certificate_id(certificate))
        return Newcomer(name=name, certificate=certificate, files=files)

    @property
    def id(self) -> str:
        return certificate_id(self.ca)

    def status(self, newcomer: Newcomer) -> tuple[str, str] | None:
        """What the registry has of the certificate: its status and its CA."""
        iot = self.sandbox.boto("iot")
        try:
            found = iot.describe_certificate(certificateId=newcomer.id)["certificateDescription"]
        except iot.exceptions.ResourceNotFoundException:
            return None
        return found["status"], found["caCertificateId"]


@pytest.fixture
def factory(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Factory]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    subject = common_name_only(f"factory {secrets.token_hex(4)}")
    ca = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    iot = sandbox.boto("iot")
    iot.register_ca_certificate(
        caCertificate=ca.public_bytes(Encoding.PEM).decode(),
        certificateMode="SNI_ONLY",
        setAsActive=True,
        allowAutoRegistration=True,
    )
    factory = Factory(sandbox=sandbox, folder=tmp_path, ca=ca, key=key, made=[])
    yield factory
    for each in factory.made:
        try:
            iot.update_certificate(certificateId=each, newStatus="INACTIVE")
            iot.delete_certificate(certificateId=each)
        except iot.exceptions.ResourceNotFoundException:
            pass
    iot.update_ca_certificate(certificateId=factory.id, newStatus="INACTIVE")
    iot.delete_ca_certificate(certificateId=factory.id)


@pytest.fixture
def events(sandbox: RunningSandbox, factory: Factory, tmp_path: Path) -> Iterator["queue.Queue[tuple[str, bytes]]"]:
    """What the fleet is told: the messages on the CA's topic."""
    iot = sandbox.boto("iot")
    made = iot.create_keys_and_certificate(setAsActive=True)
    name = f"listener-{secrets.token_hex(4)}"
    iot.create_policy(
        policyName=name,
        policyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        ),
    )
    iot.attach_policy(policyName=name, target=made["certificateArn"])
    files = tmp_path / "listener.crt", tmp_path / "listener.key"
    files[0].write_text(made["certificatePem"])
    files[1].write_text(made["keyPair"]["PrivateKey"])
    with MqttConnection(sandbox.env, certificate=files[0], key=files[1], client_id=name) as connection:
        assert connection.subscribe(f"$aws/events/certificates/registered/{factory.id}")
        yield connection.messages
    iot.detach_policy(policyName=name, target=made["certificateArn"])
    iot.delete_policy(policyName=name)
    iot.update_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
    iot.delete_certificate(certificateId=made["certificateId"])


def over_https(sandbox: RunningSandbox, newcomer: Newcomer) -> int | None:
    """The status of a publish; None for a connection that ends without a reply."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            reply = session.post(
                f"https://{sandbox.env['IOT_ENDPOINT']}:{sandbox.env['IOT_HTTPS_PORT']}/topics/first?qos=1",
                data=b"{}",
                cert=(str(newcomer.files[0]), str(newcomer.files[1])),
                verify=sandbox.env["CA_BUNDLE"],
                timeout=10,
            )
        except requests.ConnectionError:
            return None
    return reply.status_code


def over_mqtt(sandbox: RunningSandbox, newcomer: Newcomer) -> bool:
    """Whether a CONNECT is accepted."""
    with MqttConnection(
        sandbox.env, certificate=newcomer.files[0], key=newcomer.files[1], client_id=newcomer.name
    ) as connection:
        return connection.is_connected


def told(events: "queue.Queue[tuple[str, bytes]]") -> dict[str, Any]:
    _, payload = events.get(timeout=10)
    event: dict[str, Any] = json.loads(payload)
    return event


def test_both_register_an_unknown_certificate_say_so_drop_it_and_say_so_again(
    sandbox: RunningSandbox, factory: Factory, events: "queue.Queue[tuple[str, bytes]]"
) -> None:
    by_https, by_mqtt = factory.newcomer(), factory.newcomer()

    assert over_https(sandbox, by_https) is None
    assert not over_mqtt(sandbox, by_mqtt)

    assert factory.status(by_https) == factory.status(by_mqtt) == ("PENDING_ACTIVATION", factory.id)
    first = {event["certificateId"]: event for event in (told(events), told(events))}
    assert set(first) == {by_https.id, by_mqtt.id}
    assert set(first[by_https.id]) == set(first[by_mqtt.id])
    for member in REGISTERED:
        assert first[by_https.id][member] == first[by_mqtt.id][member], member

    # 403, as Nordic's devices see it; over MQTT the connection ends.
    assert over_https(sandbox, by_https) == 403
    assert not over_mqtt(sandbox, by_mqtt)
    again = {event["certificateId"]: event for event in (told(events), told(events))}
    assert set(again) == {by_https.id, by_mqtt.id}
    for event in again.values():
        assert event["certificateStatus"] == "PENDING_ACTIVATION"
        assert dt.datetime.fromtimestamp(int(event["certificateRegistrationTimestamp"]) / 1000, dt.UTC)


def test_each_goes_on_where_the_other_has_begun(
    sandbox: RunningSandbox, factory: Factory, events: "queue.Queue[tuple[str, bytes]]"
) -> None:
    by_https, by_mqtt = factory.newcomer(), factory.newcomer()
    assert over_https(sandbox, by_https) is None
    assert not over_mqtt(sandbox, by_mqtt)
    assert over_https(sandbox, by_mqtt) == 403
    assert not over_mqtt(sandbox, by_https)
    named = [told(events)["certificateId"] for _ in range(4)]
    assert sorted(named) == sorted([by_https.id, by_mqtt.id] * 2)
    for newcomer in (by_https, by_mqtt):
        sandbox.boto("iot").update_certificate(certificateId=newcomer.id, newStatus="INACTIVE")
        assert over_https(sandbox, newcomer) is None
        assert not over_mqtt(sandbox, newcomer)
        assert factory.status(newcomer) == ("INACTIVE", factory.id)


@pytest.mark.parametrize("change", [{"newAutoRegistrationStatus": "DISABLE"}, {"newStatus": "INACTIVE"}])
def test_neither_registers_for_a_ca_that_does_not_want_it(
    sandbox: RunningSandbox, factory: Factory, change: dict[str, str]
) -> None:
    pending = factory.newcomer()
    assert over_https(sandbox, pending) is None
    sandbox.boto("iot").update_ca_certificate(certificateId=factory.id, **change)
    by_https, by_mqtt = factory.newcomer(), factory.newcomer()
    assert over_https(sandbox, by_https) is None
    assert not over_mqtt(sandbox, by_mqtt)
    assert factory.status(by_https) is factory.status(by_mqtt) is None
    # Nor does either go on with one that it had registered before.
    assert over_https(sandbox, pending) is None
    assert not over_mqtt(sandbox, pending)


def test_a_handshake_alone_registers_nothing(sandbox: RunningSandbox, factory: Factory) -> None:
    newcomer = factory.newcomer()
    for port in ("IOT_HTTPS_PORT", "IOT_MQTT_PORT"):
        context = ssl.create_default_context(cafile=sandbox.env["CA_BUNDLE"])
        context.load_cert_chain(*newcomer.files)
        with (
            socket.create_connection(("127.0.0.1", int(sandbox.env[port])), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=sandbox.env["IOT_ENDPOINT"]),
        ):
            pass
    # A request of another certificate comes after them, and shows that both have ended.
    assert over_https(sandbox, factory.newcomer()) is None
    assert factory.status(newcomer) is None


def test_with_the_switch_only_mqtt_registers(sandbox: RunningSandbox, factory: Factory) -> None:
    newcomer = factory.newcomer()
    with https_registers_nothing(sandbox):
        assert over_https(sandbox, newcomer) is None
        assert factory.status(newcomer) is None
        assert not over_mqtt(sandbox, newcomer)
        assert factory.status(newcomer) == ("PENDING_ACTIVATION", factory.id)
        assert over_https(sandbox, newcomer) is None
    assert over_https(sandbox, newcomer) == 403
