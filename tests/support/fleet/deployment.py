"""A deployment as ``zymkey-fleet`` finds one: a stack's outputs, a table, an IoT policy; and devices in it."""

import json
import time
import uuid
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding

from ledger import THING_MARK, Certificate, CertificateState, Ledger
from pki.fingerprint import certificate_id
from tests.support.fleet.authority import CA, fingerprint, issue, new_key
from tests.support.ledger import create_table

URL = "https://enroll.example.com/v1"
# The fleet in the mark of every test's things: their deployments are in one account, with devices of the same names.
THINGS_OF = "test"


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """What a test needs of a deployment, beside the command."""

    fleet: str
    table: str
    ledger: Ledger
    iot: object
    policy: str


NO_PERMISSIONS = '{"Version": "2012-10-17", "Statement": []}'


def deploy(aws, monkeypatch, issuer, *, policy=NO_PERMISSIONS, **further_outputs):
    """A deployment with this issuer, which from now on is the command's; `policy` is the document of its devices'.

    Further outputs replace those of the release before domains.
    """
    fleet = f"test-{uuid.uuid4().hex[:12]}"
    table = create_table(aws("dynamodb"))
    aws("iot").create_policy(policyName=fleet, policyDocument=policy)
    outputs = {"EnrollmentUrl": URL, "LedgerTable": table, "IotPolicy": fleet, "Issuer": issuer, "Fleet": fleet}
    outputs |= further_outputs
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


def enroll(cloud, name="pi-1", key=None, *, registered=True, permitted=True):
    """Take a device from nothing to its certificate, as the enroll function does; returns the certificate."""
    key = key or new_key()
    now = int(time.time())
    cloud.ledger.allow(name, fingerprint=fingerprint(key), by="alice", now=now)
    return renew(cloud, name, key, registered=registered, permitted=permitted)


def renew(cloud, name, key, *, registered=True, permitted=True):
    """Give a device that may enroll its next certificate; returns the certificate."""
    now = int(time.time())
    x509_certificate = issue(key, name)
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
            cloud.iot.create_thing(thingName=name, attributePayload={"attributes": {THING_MARK: THINGS_OF}})
            cloud.iot.attach_thing_principal(thingName=name, principal=arn)
            cloud.iot.attach_policy(policyName=cloud.policy, target=arn)
    cloud.ledger.make_current(certificate, lease="mine", now=now)
    return certificate


def status(cloud, certificate):
    """What AWS IoT says of a certificate."""
    reply = cloud.iot.describe_certificate(certificateId=certificate.certificate_id)
    return reply["certificateDescription"]["status"]
