"""Renewals that the operator asks for, and the limits beyond which it takes the operator."""

import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ledger.records import DAY, utc_day
from pki.fingerprint import certificate_id
from sandbox.deployment import EXPIRED_GRACE_DAYS
from tests.support.cloud.commands import Command, operator
from tests.support.cloud.enrollment import Candidate, Cloud, issued
from tests.support.cloud.mqtt import PATIENCE_SECONDS, MqttConnection
from tests.support.cloud.running_sandbox import RunningSandbox

pytestmark = pytest.mark.parametrize("issuer", ["kms", "aws"], indirect=True)


class Device(Candidate):
    """A device with a software key, and what the ledger remembers of it."""

    def has_had(self, certificates: int, sandbox: RunningSandbox) -> None:
        """Let the ledger remember so many certificates of today."""
        _remember(sandbox, self, "device", issued_on=utc_day(int(time.time())), issued_count=certificates)

    def expired(self, days: float, cloud: Cloud, sandbox: RunningSandbox) -> None:
        """Let the ledger remember that its certificate expired so many days ago."""
        device = cloud.ledger.device(self.name)
        assert device is not None
        then = int(time.time() - days * DAY)
        _remember(sandbox, self, "device", not_after=then)
        _remember(sandbox, self, f"certificate#{device.certificate_id}", not_before=then - 365 * DAY, not_after=then)


def _remember(sandbox: RunningSandbox, device: Candidate, item: str, **numbers: int) -> None:
    sandbox.boto("dynamodb").update_item(
        TableName=sandbox.outputs["LedgerTable"],
        Key={"pk": {"S": f"device#{device.name}"}, "sk": {"S": item}},
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in numbers),
        ExpressionAttributeValues={f":{name}": {"N": str(number)} for name, number in numbers.items()},
    )


def connection(sandbox: RunningSandbox, device: Device, certificate: x509.Certificate, folder: Path) -> MqttConnection:
    paths = folder / "device.crt", folder / "device.key"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(device.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return MqttConnection(sandbox.env, certificate=paths[0], key=paths[1], client_id=device.name)


@pytest.fixture
def cloud(sandbox: RunningSandbox) -> Cloud:
    return Cloud(sandbox)


@pytest.fixture
def fleet(sandbox: RunningSandbox) -> Command:
    return operator(sandbox.env)


def test_a_device_hears_of_its_renewal_at_once_and_the_operator_lifts_each_limit_for_it(
    sandbox: RunningSandbox, cloud: Cloud, fleet: Command, tmp_path: Path
) -> None:
    device = Device()
    cloud.allow(device)

    def ask() -> Any:
        return cloud.enroll(device, with_token=False)

    certificates = [issued(ask())]
    topic: str = cloud.get("/configuration").json()["lifecycle"]["renew"]
    with connection(sandbox, device, certificates[-1], tmp_path) as program:
        assert program.subscribe(topic.replace("{device}", device.name))
        assert fleet("renew", device.name, "--json").json["published"]
        assert program.messages.get(timeout=PATIENCE_SECONDS)[1] == f'{{"renew": "{device.name}"}}'.encode()
    certificates.append(issued(ask()))

    # The day's last certificate, and the one after it.
    device.has_had(9, sandbox)
    cloud.ledger.ask_for_renewal(device.name, by="test", now=int(time.time()))
    certificates.append(issued(ask()))
    cloud.ledger.ask_for_renewal(device.name, by="test", now=int(time.time()))
    refused = ask()
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= DAY
    assert "has had 10 certificates since 00:00 UTC" in refused.text
    assert cloud.status_of(certificates[-1]) == "ACTIVE"
    fleet("renew", device.name, "--force")
    certificates.append(issued(ask()))

    # Expired, within the time of grace and beyond it.
    device.expired(EXPIRED_GRACE_DAYS - 0.1, cloud, sandbox)
    certificates.append(issued(ask()))
    device.expired(EXPIRED_GRACE_DAYS + 0.1, cloud, sandbox)
    refused = ask()
    assert refused.status_code == 403
    assert "`zymkey-fleet renew NAME`" in refused.text
    fleet("renew", device.name)
    certificates.append(issued(ask()))

    assert len({certificate_id(each) for each in certificates}) == 6
    assert ask().status_code == 200, "and that one is fresh"
    assert cloud.status_of(certificates[-1]) == "ACTIVE"
