"""A CA in KMS is rotated under a fleet at work: a second one, every device renewed, the first one retired.

With the real commands, and devices that publish all the while. In a sandbox of its own: CAs are not taken back.
"""

import base64
import json
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from pki.fingerprint import certificate_id
from sandbox import lifecycle
from sandbox.addresses import Addresses
from sandbox.environment import sourced
from tests.support.cloud.commands import RaspberryPi, operator
from tests.support.cloud.enrollment import Cloud, new_name
from tests.support.cloud.running_sandbox import RunningSandbox

OLD = {"name": "2026", "commonName": "the old CA", "organization": "Acme", "validityYears": 20}
NEW = OLD | {"name": "2027", "commonName": "the new CA"}
DAY = 86_400


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[Addresses]:
    gateway, https, mqtt = (free_port() for _ in range(3))
    own = Addresses(gateway_port=gateway, https_port=https, mqtt_port=mqtt, directory=tmp_path / "sandbox")
    yield own
    lifecycle.stop(own, print)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Fleet:
    """One deployment after the other, in the same account."""

    def __init__(self, addresses: Addresses, folder: Path) -> None:
        self._addresses = addresses
        self._folder = folder

    def deploy(self, *authorities: dict[str, Any]) -> None:
        settings = {"certificateAuthorities": json.dumps(authorities)}
        started = lifecycle.start(self._addresses, "kms", print, settings=settings)
        self.sandbox = RunningSandbox(
            addresses=started.addresses,
            outputs=dict(started.deployment.outputs),
            env=sourced(started.environment_file),
        )
        self.cloud = Cloud(self.sandbox)
        self.zymkey_fleet = operator(self.sandbox.env)

    def new_device(self) -> RaspberryPi:
        name = new_name()
        pi = RaspberryPi(name, self.sandbox.env, self._folder / name)
        token = self.zymkey_fleet("invite", name, "--json").json["token"]
        pi.zymkey_iot("bootstrap", "--mqtt", ZYMKEY_IOT_TOKEN=token)
        return pi

    def authorities(self) -> dict[str, x509.Certificate]:
        """What `cacerts` shows, by common name."""
        shown = self.cloud.get("/.well-known/est/cacerts").content
        return {common_name(each.subject): each for each in pkcs7.load_der_pkcs7_certificates(base64.b64decode(shown))}

    def status_of(self, authority: x509.Certificate) -> str:
        """What AWS IoT makes of a CA."""
        reply = self.cloud.iot.describe_ca_certificate(certificateId=certificate_id(authority))
        return str(reply["certificateDescription"]["status"])

    def age(self, pi: RaspberryPi, item: str, **times: int) -> None:
        """Nobody waits until a certificate is old: the ledger remembers it so."""
        self.sandbox.boto("dynamodb").update_item(
            TableName=self.sandbox.outputs["LedgerTable"],
            Key={"pk": {"S": f"device#{pi.name}"}, "sk": {"S": item}},
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in times),
            ExpressionAttributeValues={f":{name}": {"N": str(value)} for name, value in times.items()},
        )

    def sweep(self) -> None:
        """What the schedule does every day."""
        functions = self.sandbox.boto("lambda")
        (name,) = (
            each["FunctionName"]
            for each in functions.list_functions()["Functions"]
            if each["Handler"] == "functions.handlers.superseded.handler"
        )
        assert "FunctionError" not in functions.invoke(FunctionName=name, Payload=b"{}")


def common_name(name: x509.Name) -> str:
    return str(name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def issuer_of(pi: RaspberryPi) -> str:
    return common_name(x509.load_pem_x509_certificate(pi.certificate_pem).issuer)


def assert_all_work(devices: Sequence[RaspberryPi]) -> None:
    for pi in devices:
        pi.zymkey_iot("publish", "devices/{device}/t", "1")
        pi.zymkey_iot("publish", "--mqtt", "devices/{device}/t", "1")


def test_a_ca_is_rotated_under_a_fleet_at_work(addresses: Addresses, tmp_path: Path) -> None:
    fleet = Fleet(addresses, tmp_path)
    fleet.deploy(OLD)
    veteran = fleet.new_device()
    old_certificate, old_id = veteran.certificate_pem, veteran.certificate_id
    assert issuer_of(veteran) == "the old CA"
    assert "is the newest, which issues" in fleet.zymkey_fleet("ca", "retire", "2026", code=1).err

    # From now on the new CA issues. To the device in the field nothing happens.
    fleet.deploy(OLD, NEW)
    assert set(fleet.authorities()) == {"the old CA", "the new CA"}
    old_ca = fleet.authorities()["the old CA"]
    shutil.rmtree(veteran.state)
    veteran.zymkey_iot("bootstrap")
    assert veteran.certificate_pem == old_certificate
    newcomer = fleet.new_device()
    assert issuer_of(newcomer) == "the new CA"
    assert_all_work([veteran, newcomer])

    # The old one cannot go while a device stands on it.
    refused = fleet.zymkey_fleet("ca", "retire", "2026", code=1).err
    assert f"still held by {veteran.name}." in refused
    assert fleet.status_of(old_ca) == "ACTIVE"

    # Renewals bring everybody over; what they leave behind counts until its grace is over.
    certificate = fleet.cloud.ledger.certificate(veteran.name, old_id)
    assert certificate is not None
    now = int(time.time())
    fleet.age(veteran, f"certificate#{old_id}", not_before=now - 3 * (certificate.not_after - now))
    assert "Renewed" in veteran.zymkey_iot("renew").out
    assert issuer_of(veteran) == "the new CA"
    assert fleet.cloud.certificates_of(veteran.name) == {old_id: "ACTIVE", veteran.certificate_id: "ACTIVE"}
    assert veteran.name in fleet.zymkey_fleet("ca", "retire", "2026", code=1).err
    fleet.age(veteran, "device", superseded_at=now - 8 * DAY)
    fleet.sweep()
    assert fleet.cloud.certificates_of(veteran.name) == {old_id: "INACTIVE", veteran.certificate_id: "ACTIVE"}

    # Retired: AWS IoT takes nothing of it any more, and the fleet works on.
    retired = fleet.zymkey_fleet("ca", "retire", "2026", "--json").json
    assert retired == {"name": "2026", "certificateIds": [certificate_id(old_ca)], "retired": True}
    assert fleet.status_of(old_ca) == "INACTIVE"
    assert_all_work([veteran, newcomer, fleet.new_device()])
    assert fleet.zymkey_fleet("audit", "--json").json == []

    # And out of cdk.json.
    fleet.deploy(NEW)
    assert set(fleet.authorities()) == {"the new CA"}
    assert fleet.status_of(old_ca) == "INACTIVE"
    latest = fleet.new_device()
    assert issuer_of(latest) == "the new CA"
    veteran.zymkey_iot("bootstrap", "--mqtt")
    assert_all_work([veteran, newcomer, latest])
    assert "is the newest, which issues" in fleet.zymkey_fleet("ca", "retire", "2027", code=1).err
