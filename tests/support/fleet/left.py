"""What a destroyed deployment leaves: a ledger and an IoT policy, named as CloudFormation names them, and CAs."""

import uuid
from datetime import UTC, datetime

from functions.certificate_authority import answer
from infra.fleet_tag import FLEET_TAG
from ledger import Ledger
from tests.support.fleet.deployment import NO_PERMISSIONS, Cloud
from tests.support.ledger import create_table


def leave(aws, fleet, policy="DevicePolicyPolicy"):
    """Leave a ledger and an IoT policy behind."""
    suffix = uuid.uuid4().hex[:12].upper()
    table = create_table(aws("dynamodb"), f"{fleet}-Trust-LedgerTable8AC9FF6B-{suffix}")
    policy = f"{fleet}-Trust-{policy}-{suffix}"
    aws("iot").create_policy(policyName=policy, policyDocument=NO_PERMISSIONS)
    ledger = Ledger(client=aws("dynamodb"), table=table)
    return Cloud(fleet=fleet, table=table, ledger=ledger, iot=aws("iot"), policy=policy)


def make_ca(aws, left, name="2026", *, registered=True, tagged=True):
    """A CA in KMS, as the custom resource makes it; returns its key's ARN and its id in AWS IoT."""
    key = aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    properties = {"Name": name, "KeyArn": key, "CommonName": "fleet CA", "Organization": "Acme", "ValidityYears": "20"}
    made = answer(
        {"RequestType": "Create", "ResourceProperties": properties},
        ledger=left.ledger,
        kms=aws("kms"),
        iot=aws("iot"),
        now=datetime.now(UTC),
    )["Data"]
    if not registered:
        return key, None
    return key, aws("iot").register_ca_certificate(
        caCertificate=made["CertificatePem"],
        verificationCertificate=made["VerificationCertificatePem"],
        setAsActive=True,
        tags=[{"Key": FLEET_TAG, "Value": left.fleet}] if tagged else [],
    )["certificateId"]
