"""The operator's command against a deployment that consists of a stack's outputs, a table and AWS IoT."""

import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import pytest
from botocore.loaders import create_loader
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from fleet.cli import main
from ledger import Certificate, CertificateState, Ledger
from pki.certificates import ca_certificate, device_certificate
from pki.fingerprint import certificate_id, key_fingerprint
from tests.unit.conftest import CREDENTIALS
from tests.unit.ledger.conftest import create_table

URL = "https://enroll.example.com/v1"


@dataclass(frozen=True, kw_only=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """What a test needs of a deployment, beside the command."""

    fleet: str
    table: str
    ledger: Ledger
    iot: object
    policy: str


@pytest.fixture(scope="session", autouse=True)
def sdk_models_are_read_once():
    """Each command makes its own session, which reads the services' models anew: a tenth of a second each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))
        yield


@pytest.fixture
def operator_environment(aws_address, monkeypatch, tmp_path):
    """An operator who is logged in, and whose machine has no AWS configuration of its own."""
    for name in ("AWS_PROFILE", "ENROLLMENT_URL", "ZYMKEY_FLEET", "CA_BUNDLE", "AWS_CA_BUNDLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    values = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": aws_address,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(operator_environment, capsys):
    """A function that runs one command, by its words."""

    def run(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as usage:  # argparse: --help, or a wrong command line
            code = usage.code
        return Answer(code=code, **capsys.readouterr()._asdict())

    return run


@pytest.fixture
def cloud(aws, operator_environment, monkeypatch):
    return deploy(aws, monkeypatch, "kms")


def deploy(aws, monkeypatch, issuer):
    """A deployment with this issuer, which from now on is the command's."""
    fleet = f"test-{uuid.uuid4().hex[:12]}"
    table = create_table(aws("dynamodb"))
    aws("iot").create_policy(policyName=fleet, policyDocument='{"Version": "2012-10-17", "Statement": []}')
    outputs = {"EnrollmentUrl": URL, "LedgerTable": table, "IotPolicy": fleet, "Issuer": issuer, "Fleet": fleet}
    aws("cloudformation").create_stack(
        StackName=f"{fleet}-Enrollment",
        TemplateBody=json.dumps(
            {
                "Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
                "Outputs": {name: {"Value": value} for name, value in outputs.items()},
            }
        ),
    )
    monkeypatch.setenv("ZYMKEY_FLEET", fleet)
    return Cloud(
        fleet=fleet, table=table, ledger=Ledger(client=aws("dynamodb"), table=table), iot=aws("iot"), policy=fleet
    )


CA_KEY = ec.generate_private_key(ec.SECP256R1())
CA = ca_certificate(signer=CA_KEY, common_name="fleet CA", organization="", validity_years=10, now=datetime.now(UTC))


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def fingerprint(key):
    return key_fingerprint(key.public_key())


def enroll(cloud, name="pi-1", key=None, *, registered=True, permitted=True):
    """Take a device from nothing to its certificate, as the enroll function does; returns the certificate."""
    key = key or new_key()
    now = int(time.time())
    cloud.ledger.allow(name, fingerprint=fingerprint(key), by="alice", now=now)
    return renew(cloud, name, key, registered=registered, permitted=permitted)


def renew(cloud, name, key, *, registered=True, permitted=True):
    now = int(time.time())
    x509_certificate = device_certificate(
        signer=CA_KEY, ca=CA, key=key.public_key(), device=name, subject={}, validity_days=30, now=datetime.now(UTC)
    )
    certificate = Certificate(
        device=name,
        certificate_id=certificate_id(x509_certificate),
        pem=x509_certificate.public_bytes(Encoding.PEM).decode(),
        fingerprint=fingerprint(key),
        serial=f"{x509_certificate.serial_number:x}",
        not_before=int(x509_certificate.not_valid_before_utc.timestamp()),
        not_after=int(x509_certificate.not_valid_after_utc.timestamp()),
        issued_by=certificate_id(CA),
        state=CertificateState.RECORDED,
        updated_at=now,
    )
    cloud.ledger.acquire_lease(name, fingerprint=fingerprint(key), lease="mine", lease_until=now + 25, now=now)
    cloud.ledger.record_certificate(certificate, lease="mine", now=now)
    if registered:
        arn = cloud.iot.register_certificate_without_ca(certificatePem=certificate.pem, status="ACTIVE")[
            "certificateArn"
        ]
        if permitted:
            cloud.iot.create_thing(thingName=name)
            cloud.iot.attach_thing_principal(thingName=name, principal=arn)
            cloud.iot.attach_policy(policyName=cloud.policy, target=arn)
    cloud.ledger.make_current(certificate, lease="mine", now=now)
    return certificate


def status(cloud, certificate):
    """What AWS IoT says of a certificate."""
    reply = cloud.iot.describe_certificate(certificateId=certificate.certificate_id)
    return reply["certificateDescription"]["status"]


def issue(key, name="pi-1", **changes):
    """A certificate of the fleet's CA, signed without anybody's asking."""
    values = {
        "signer": CA_KEY,
        "ca": CA,
        "key": key.public_key(),
        "device": name,
        "subject": {},
        "validity_days": 30,
        "now": datetime.now(UTC),
    }
    return device_certificate(**values | changes)


@pytest.fixture
def ca_files(tmp_path, monkeypatch):
    """The options that name the CA: its certificate, its encrypted key, the passphrase in the environment."""
    certificate, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    certificate.write_bytes(CA.public_bytes(Encoding.PEM))
    key.write_bytes(CA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")))
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "open sesame")
    return "--ca-cert", certificate, "--ca-key", key
