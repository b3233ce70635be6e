"""A deployment of each issuer, made of the emulator's AWS alone: no template, no Lambda, no IAM."""

import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from functions import certificate_authority
from functions.deployment import Choices
from ledger import Ledger
from pki.certificates import ca_certificate, verification_certificate
from tests.support.aws_functions import FunctionsInProcess, pem
from tests.support.cloud.external_authority import Authority
from tests.support.ledger import create_table

TOPICS = {"publish": ["devices/{device}/*"], "subscribe": ["devices/{device}/*"]}


@pytest.fixture(scope="session")
def iot_policy(aws):
    """Every device's policy. What is in it, AWS IoT alone would judge."""
    name = f"devices-{secrets.token_hex(4)}"  # each folder of tests has a session of its own
    aws("iot").create_policy(policyName=name, policyDocument='{"Version": "2012-10-17", "Statement": []}')
    return name


@pytest.fixture(scope="session")
def kms_authority(aws):
    """A CA in KMS: its certificate, and its key's ARN."""
    return new_kms_authority(aws)


def new_kms_authority(aws):
    """A CA in KMS, made as a deployment makes it, at this process's time: its certificate, and its key's ARN."""
    key = aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    properties = {"Name": "1", "KeyArn": key, "CommonName": "fleet CA", "Organization": "", "ValidityYears": "20"}
    ledger = Ledger(client=aws("dynamodb"), table=create_table(aws("dynamodb")))
    made = certificate_authority.answer(
        {"RequestType": "Create", "ResourceProperties": properties},
        ledger=ledger,
        kms=aws("kms"),
        iot=aws("iot"),
        now=datetime.fromtimestamp(time.time(), UTC),
    )["Data"]
    _register(aws("iot"), made["CertificatePem"], made["VerificationCertificatePem"])
    return x509.load_pem_x509_certificate(made["CertificatePem"].encode()), key


@pytest.fixture(scope="session")
def authority(aws):
    """A CA whose key is at hand, registered for just-in-time registration."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    ca = ca_certificate(signer=key, common_name="our CA", organization="Example", validity_years=20, now=now)
    code = aws("iot").get_registration_code()["registrationCode"]
    proof = verification_certificate(signer=key, ca=ca, registration_code=code, now=now)
    _register(aws("iot"), pem(ca).decode(), pem(proof).decode(), allowAutoRegistration=True)
    return Authority(ca, key)


def _register(iot, certificate, verification, **options):
    iot.register_ca_certificate(
        caCertificate=certificate, verificationCertificate=verification, setAsActive=True, **options
    )


@pytest.fixture
def deploy(aws, breakable_aws, iot_policy, kms_authority, authority):
    """A function that makes a deployment of one issuer, with a table of its own."""

    def deploy(issuer, **settings):
        in_kms, key = kms_authority
        own = {"kms": (in_kms,), "aws": (), "external": (authority.certificate,)}[issuer]
        choices = Choices(
            fleet="zymkey",
            issuer=issuer,
            ledger_table=create_table(aws("dynamodb")),
            iot_policy=iot_policy,
            ca_certificates=own,
            ca_key_arn=key if issuer == "kms" else "",
            subject={},
            validity_days=365,
            topics=TOPICS,
            uninvited="refuse",
            certificates_per_key_and_day=10,
            registrations_per_second=1000,  # so that a test's devices, one after another, never queue (test_turns)
        )
        return FunctionsInProcess(choices=replace(choices, **settings), client=aws, breakable_client=breakable_aws)

    return deploy
