"""The custom resource before each registration: no deployment makes a CA active again that was retired by hand."""

import itertools
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from functions.declared_status import DeclaredStatusError, answer
from functions.handlers import declared_status
from pki.certificates import ca_certificate, verification_certificate
from pki.fingerprint import certificate_id
from tests.support.emulator import CREDENTIALS

SERIAL = itertools.count()


@pytest.fixture
def ca():
    """A CA's key and certificate, which AWS IoT does not know."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"declared status {next(SERIAL)}"
    return key, ca_certificate(signer=key, common_name=name, organization="", validity_years=1, now=datetime.now(UTC))


@pytest.fixture
def retired(aws, ca):
    """The same CA, registered, and made INACTIVE by hand."""
    key, certificate = ca
    code = aws("iot").get_registration_code()["registrationCode"]
    proof = verification_certificate(signer=key, ca=certificate, registration_code=code, now=datetime.now(UTC))
    aws("iot").register_ca_certificate(
        caCertificate=pem(certificate), verificationCertificate=pem(proof), setAsActive=True
    )
    aws("iot").update_ca_certificate(certificateId=certificate_id(certificate), newStatus="INACTIVE")
    return certificate


def pem(certificate):
    return certificate.public_bytes(Encoding.PEM).decode()


def event(certificate, status="ACTIVE", *, before=None, request="Update"):
    """``before`` is the status that the deployment before declared, or None when it had no such resource."""
    properties = {"Setting": 'the CA "2026" of certificateAuthorities', "CertificatePem": pem(certificate)}
    found = {"RequestType": request, "ResourceProperties": properties | {"Status": status}}
    if before is not None:
        found |= {"OldResourceProperties": properties | {"Status": before}, "PhysicalResourceId": "id"}
    return found


@pytest.mark.parametrize(("request_type", "before"), [("Create", None), ("Update", "ACTIVE")])
def test_what_was_retired_in_aws_iot_alone_is_not_declared_active(aws, retired, request_type, before):
    """Create: an update of the first release, which has no such resource."""
    with pytest.raises(DeclaredStatusError) as refused:
        answer(event(retired, before=before, request=request_type), iot=aws("iot"))
    assert 'add "retired": true to the CA "2026" of certificateAuthorities in cdk.json' in str(refused.value)
    assert f"--certificate-id {certificate_id(retired)} --new-status ACTIVE" in str(refused.value)


def test_what_is_declared_retired_stays_so_and_may_be_declared_active_again(aws, retired):
    created = answer(event(retired, "INACTIVE", request="Create"), iot=aws("iot"))
    assert created == {"PhysicalResourceId": f"declared-status/{certificate_id(retired)}"}
    assert answer(event(retired, "INACTIVE", before="ACTIVE"), iot=aws("iot")) == {"PhysicalResourceId": "id"}
    assert answer(event(retired, before="INACTIVE"), iot=aws("iot")) == {"PhysicalResourceId": "id"}


def test_another_ca_that_was_declared_retired_is_no_reason(aws, retired):
    asked = event(retired, before="INACTIVE")
    asked["OldResourceProperties"]["CertificatePem"] = "another"
    with pytest.raises(DeclaredStatusError):
        answer(asked, iot=aws("iot"))


def test_a_ca_that_is_active_or_not_registered_yet_is_declared_active(aws, ca, retired):
    aws("iot").update_ca_certificate(certificateId=certificate_id(retired), newStatus="ACTIVE")
    answer(event(retired, before="ACTIVE"), iot=aws("iot"))
    aws("iot").update_ca_certificate(certificateId=certificate_id(retired), newStatus="INACTIVE")
    aws("iot").delete_ca_certificate(certificateId=certificate_id(retired))
    answer(event(retired, request="Create"), iot=aws("iot"))


def test_a_deletion_is_never_refused(aws, retired):
    answer(event(retired, before="ACTIVE", request="Delete"), iot=aws("iot"))


def test_lambdas_entry_makes_the_client_itself(retired, aws_address, monkeypatch):
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": aws_address, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DeclaredStatusError):
        declared_status.handler(event(retired, request="Create"), object())
