"""The sandbox's own HTTPS data endpoint and the emulator's MQTT broker judge alike.

Neither is AWS IoT. But they were written by different people, from the same documents; where they agree on a
certificate and its policies, the verdict is more than one opinion.
"""

import datetime
import json
import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
import sslcontext
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from infra.policy_document import policy_document
from infra.topics import Topics
from tests.support.cloud.mqtt import MqttConnection
from tests.support.cloud.running_sandbox import RunningSandbox

RESOURCE = "arn:aws:iot:us-east-1:000000000000"
COMMON_NAME = "${iot:Certificate.Subject.CommonName}"


@dataclass(frozen=True, kw_only=True)
class Device:
    """A certificate in the registry, made by the emulator's own CA, with its key in a file."""

    name: str
    arn: str
    certificate_id: str
    certificate: Path
    key: Path
    private_key: ec.EllipticCurvePrivateKey

    @property
    def topic(self) -> str:
        return f"devices/{self.name}/state"


@pytest.fixture
def device(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Device]:
    iot = sandbox.boto("iot")
    name = f"judged-{secrets.token_hex(4)}"
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    made = iot.create_certificate_from_csr(
        certificateSigningRequest=csr.public_bytes(Encoding.PEM).decode(), setAsActive=True
    )
    files = {"certificate": tmp_path / "device.crt", "key": tmp_path / "device.key"}
    files["certificate"].write_text(made["certificatePem"])
    files["key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    device = Device(
        name=name, arn=made["certificateArn"], certificate_id=made["certificateId"], private_key=key, **files
    )
    yield device
    remove(sandbox, device)


def remove(sandbox: RunningSandbox, device: Device) -> None:
    """Take the certificate and its policies out of the registry."""
    iot = sandbox.boto("iot")
    for policy in iot.list_attached_policies(target=device.arn)["policies"]:
        iot.detach_policy(policyName=policy["policyName"], target=device.arn)
        iot.delete_policy(policyName=policy["policyName"])
    iot.update_certificate(certificateId=device.certificate_id, newStatus="INACTIVE")
    iot.delete_certificate(certificateId=device.certificate_id)


def attach(sandbox: RunningSandbox, device: Device, *statements: dict[str, Any]) -> str:
    """Attach a policy of `statements` and return its name."""
    name = f"judged-{secrets.token_hex(4)}"
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    sandbox.boto("iot").create_policy(policyName=name, policyDocument=json.dumps(document))
    sandbox.boto("iot").attach_policy(policyName=name, target=device.arn)
    return name


def statement(action: str | list[str], *resources: str, effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": [f"{RESOURCE}:{resource}" for resource in resources]}


CONNECT = statement("iot:Connect", f"client/{COMMON_NAME}")
OWN_TOPICS = statement("iot:Publish", f"topic/devices/{COMMON_NAME}/*")


def https(sandbox: RunningSandbox, device: Device, topic: str, payload: bytes = b"{}") -> requests.Response:
    with requests.Session() as session:
        # The environment may name another bundle of roots, and would win.
        session.trust_env = False
        return session.post(
            f"https://{sandbox.env['IOT_ENDPOINT']}:{sandbox.env['IOT_HTTPS_PORT']}/topics/{topic}?qos=1",
            data=payload,
            cert=(str(device.certificate), str(device.key)),
            verify=sandbox.env["CA_BUNDLE"],
            timeout=10,
        )


def may_publish_over_https(sandbox: RunningSandbox, device: Device, topic: str) -> bool:
    try:
        status = https(sandbox, device, topic).status_code
    except requests.ConnectionError:
        return False
    assert status in (200, 403)
    return status == 200


def may_publish_over_mqtt(sandbox: RunningSandbox, device: Device, topic: str) -> bool:
    with connect(sandbox, device) as connection:
        return connection.is_connected and connection.publish(topic)


def connect(sandbox: RunningSandbox, device: Device, client_id: str | None = None) -> MqttConnection:
    return MqttConnection(
        sandbox.env, certificate=device.certificate, key=device.key, client_id=client_id or device.name
    )


def both(sandbox: RunningSandbox, device: Device, topic: str) -> bool:
    """The verdict that both came to."""
    over_https = may_publish_over_https(sandbox, device, topic)
    over_mqtt = may_publish_over_mqtt(sandbox, device, topic)
    assert over_https == over_mqtt, f"HTTPS says {over_https}, MQTT says {over_mqtt}"
    return over_https


def test_a_device_may_publish_to_its_own_topic_and_to_no_other(sandbox: RunningSandbox, device: Device) -> None:
    attach(sandbox, device, CONNECT, OWN_TOPICS)
    assert both(sandbox, device, device.topic)
    assert not both(sandbox, device, "devices/another/state")
    assert not both(sandbox, device, f"devices/{device.name}")
    assert not both(sandbox, device, f"Devices/{device.name}/state")


def test_a_certificate_without_policies_may_nothing(sandbox: RunningSandbox, device: Device) -> None:
    assert not both(sandbox, device, device.topic)


def test_publishing_needs_the_permission_to_connect(sandbox: RunningSandbox, device: Device) -> None:
    attach(sandbox, device, OWN_TOPICS)
    assert not both(sandbox, device, device.topic)


@pytest.mark.parametrize(
    ("pattern", "topic", "allowed"),
    [
        ("*", "anything/at/all", True),
        ("devices/*/state", "devices/a/b/state", True),
        ("devices/*/state", "devices/a/status", False),
        ("devices/?/state", "devices/a/state", True),
        ("devices/?/state", "devices/ab/state", False),
        ("devices/+/state", "devices/a/state", False),
        ("devices/a.b", "devices/axb", False),
    ],
)
def test_wildcards(sandbox: RunningSandbox, device: Device, pattern: str, topic: str, allowed: bool) -> None:
    attach(sandbox, device, CONNECT, statement("iot:Publish", f"topic/{pattern}"))
    assert both(sandbox, device, topic) is allowed


def test_the_recipes_policy_allows_everything(sandbox: RunningSandbox, device: Device) -> None:
    everything = {"Effect": "Allow", "Action": ["iot:Connect", "iot:Publish"], "Resource": ["*"]}
    attach(sandbox, device, everything)
    assert both(sandbox, device, "hello/world")


def test_an_explicit_deny_in_another_policy_wins(sandbox: RunningSandbox, device: Device) -> None:
    attach(sandbox, device, CONNECT, OWN_TOPICS)
    attach(sandbox, device, statement("iot:Publish", "topic/devices/*/secret", effect="Deny"))
    assert both(sandbox, device, device.topic)
    assert not both(sandbox, device, f"devices/{device.name}/secret")


def test_a_thing_variable_is_unknown_without_a_thing(sandbox: RunningSandbox, device: Device) -> None:
    attach(sandbox, device, CONNECT, statement("iot:Publish", "topic/devices/${iot:Connection.Thing.ThingName}/*"))
    assert not both(sandbox, device, device.topic)


@pytest.mark.parametrize(
    ("name", "denied"),
    [("iot:Certificate.Subject.CommonName", True), ("iot:Connection.Thing.ThingName", False)],
)
def test_a_deny_counts_where_its_condition_holds_and_not_where_its_variable_does_not_exist(
    sandbox: RunningSandbox, device: Device, name: str, denied: bool
) -> None:
    condition = {"Condition": {"StringLike": {name: "judged-*"}}}
    attach(sandbox, device, CONNECT, OWN_TOPICS)
    attach(sandbox, device, statement("iot:Publish", "topic/devices/*", effect="Deny") | condition)
    assert both(sandbox, device, device.topic) is not denied


def test_the_fleets_policy_shuts_out_mqtt_without_a_thing_and_leaves_https_alone(
    sandbox: RunningSandbox, device: Device
) -> None:
    """On purpose they differ here: HTTPS has no variable that says whether a thing is attached."""
    iot = sandbox.boto("iot")
    verdicts = {}
    for choice in ("allow", "deny"):
        document = policy_document(Topics(), prefix=RESOURCE, mqtt_without_thing=choice)
        policy = attach(sandbox, device, *document["Statement"])
        without = (
            may_publish_over_https(sandbox, device, device.topic),
            may_publish_over_mqtt(sandbox, device, device.topic),
        )
        iot.create_thing(thingName=device.name)
        iot.attach_thing_principal(thingName=device.name, principal=device.arn)
        assert both(sandbox, device, device.topic)
        iot.detach_thing_principal(thingName=device.name, principal=device.arn)
        iot.delete_thing(thingName=device.name)
        iot.detach_policy(policyName=policy, target=device.arn)
        verdicts[choice] = without
    assert verdicts == {"allow": (True, True), "deny": (True, False)}


def test_a_detached_policy_no_longer_counts(sandbox: RunningSandbox, device: Device) -> None:
    policy = attach(sandbox, device, CONNECT, OWN_TOPICS)
    assert both(sandbox, device, device.topic)
    sandbox.boto("iot").detach_policy(policyName=policy, target=device.arn)
    assert not both(sandbox, device, device.topic)


@pytest.mark.parametrize("status", ["INACTIVE", "REVOKED"])
def test_a_certificate_that_is_not_active_is_disconnected_without_a_reply(
    sandbox: RunningSandbox, device: Device, status: str
) -> None:
    attach(sandbox, device, CONNECT, OWN_TOPICS)
    sandbox.boto("iot").update_certificate(certificateId=device.certificate_id, newStatus=status)
    with pytest.raises(requests.ConnectionError):
        https(sandbox, device, device.topic)
    assert not may_publish_over_mqtt(sandbox, device, device.topic)
    sandbox.boto("iot").update_certificate(certificateId=device.certificate_id, newStatus="ACTIVE")
    assert both(sandbox, device, device.topic)


def test_an_unknown_certificate_is_disconnected_without_a_reply(sandbox: RunningSandbox, tmp_path: Path) -> None:
    stranger = self_signed(tmp_path)
    with pytest.raises(requests.ConnectionError):
        https(sandbox, stranger, stranger.topic)
    assert not may_publish_over_mqtt(sandbox, stranger, stranger.topic)


@pytest.mark.parametrize(("days", "allowed"), [(1, True), (-1, False)])
def test_a_certificate_counts_only_while_it_is_valid(
    sandbox: RunningSandbox, tmp_path: Path, days: int, allowed: bool
) -> None:
    stranger = self_signed(tmp_path, valid_until=datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days))
    iot = sandbox.boto("iot")
    made = iot.register_certificate_without_ca(certificatePem=stranger.certificate.read_text(), status="ACTIVE")
    device = replace(stranger, arn=made["certificateArn"])
    attach(sandbox, device, CONNECT, OWN_TOPICS)
    assert both(sandbox, device, device.topic) is allowed
    remove(sandbox, device)


def test_another_devices_certificate_is_worthless_without_its_key(sandbox: RunningSandbox, device: Device) -> None:
    attach(sandbox, device, CONNECT, OWN_TOPICS)
    certificate = x509.load_pem_x509_certificate(device.certificate.read_bytes())
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert publish_with_signer(sandbox, certificate, device.private_key, version, device.topic) == 200
        thief = ec.generate_private_key(ec.SECP256R1())
        with pytest.raises(OSError, match=r"alert|closed|reset|EOF"):
            publish_with_signer(sandbox, certificate, thief, version, device.topic)


def test_a_message_over_https_reaches_mqtt_subscribers(sandbox: RunningSandbox, device: Device) -> None:
    attach(
        sandbox,
        device,
        CONNECT,
        OWN_TOPICS,
        statement("iot:Subscribe", f"topicfilter/devices/{COMMON_NAME}/*"),
        statement("iot:Receive", f"topic/devices/{COMMON_NAME}/*"),
    )
    with connect(sandbox, device) as connection:
        assert connection.subscribe(f"devices/{device.name}/#")
        assert https(sandbox, device, device.topic, b'{"warm": true}').status_code == 200
        assert connection.messages.get(timeout=10) == (device.topic, b'{"warm": true}')


def test_replies_have_the_shape_of_aws_iot(sandbox: RunningSandbox, device: Device) -> None:
    attach(sandbox, device, CONNECT, OWN_TOPICS)
    allowed = https(sandbox, device, device.topic)
    assert (allowed.status_code, allowed.json()["message"]) == (200, "OK")
    assert allowed.json()["traceId"]
    refused = https(sandbox, device, "devices/another/state")
    assert refused.status_code == 403
    assert refused.headers["x-amzn-ErrorType"] == "ForbiddenException"
    assert set(refused.json()) == {"message", "traceId"}


def test_a_message_over_the_size_limit_is_413_and_one_at_the_limit_is_not(
    sandbox: RunningSandbox, device: Device
) -> None:
    attach(sandbox, device, CONNECT, OWN_TOPICS)
    assert https(sandbox, device, device.topic, b"x" * 128 * 1024).status_code == 200
    assert https(sandbox, device, device.topic, b"x" * (128 * 1024 + 1)).status_code == 413


def test_a_client_without_a_server_name_is_disconnected(sandbox: RunningSandbox, device: Device) -> None:
    attach(sandbox, device, CONNECT, OWN_TOPICS)
    context = ssl.create_default_context(cafile=sandbox.env["CA_BUNDLE"])
    context.load_cert_chain(device.certificate, device.key)
    address = ("127.0.0.1", int(sandbox.env["IOT_HTTPS_PORT"]))
    with (
        socket.create_connection(address, timeout=10) as plain,
        # An address is never sent as a server name.
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        pytest.raises((OSError, IndexError)),
    ):
        exchange(tls, device.topic)


def self_signed(directory: Path, valid_until: datetime.datetime | None = None) -> Device:
    """A certificate that no registry knows yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger")])
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(tomorrow - datetime.timedelta(days=10))
        .not_valid_after(valid_until or tomorrow)
        .sign(key, hashes.SHA256())
    )
    files = {"certificate": directory / "stranger.crt", "key": directory / "stranger.key"}
    files["certificate"].write_bytes(certificate.public_bytes(Encoding.PEM))
    files["key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Device(
        name="stranger",
        arn="",
        certificate_id=certificate.fingerprint(hashes.SHA256()).hex(),
        private_key=key,
        **files,
    )


def publish_with_signer(
    sandbox: RunningSandbox,
    certificate: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    version: ssl.TLSVersion,
    topic: str,
) -> int:
    """Publish showing `certificate` while `signer` signs the handshake; return the HTTP status."""

    class Signer:
        def sign(self, digest: bytes, **_: Any) -> bytes:
            return signer.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))

    context = ssl.create_default_context(cafile=sandbox.env["CA_BUNDLE"])
    context.minimum_version = context.maximum_version = version
    identity = sslcontext.Identity(certificate=certificate.public_bytes(Encoding.DER), signer=Signer())
    sslcontext.load_identity(context, identity)
    address = (sandbox.env["IOT_ENDPOINT"], int(sandbox.env["IOT_HTTPS_PORT"]))
    with (
        socket.create_connection(address, timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=sandbox.env["IOT_ENDPOINT"]) as tls,
    ):
        return exchange(tls, topic)


def exchange(tls: ssl.SSLSocket, topic: str) -> int:
    """Publish by hand and return the HTTP status; IndexError when the server closes without a reply."""
    tls.sendall(f"POST /topics/{topic}?qos=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    return int(tls.recv(4096).split()[1])
