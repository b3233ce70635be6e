"""What AWS IoT answers to the registration of a certificate, as the device or the operator is told it."""

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber
from cryptography.hazmat.primitives.asymmetric import ec

from functions.failures import count_of
from functions.refusals import BadRequest, Unavailable
from functions.registration import register
from ledger import Certificate, CertificateState
from pki.certificates import ca_certificate

CA = ca_certificate(
    signer=ec.generate_private_key(ec.SECP256R1()),
    common_name="CA",
    organization="",
    validity_years=1,
    now=datetime.now(UTC),
)
CERTIFICATE = Certificate(
    device="pi-1",
    certificate_id="0" * 64,
    fingerprint="SHA256:x",
    pem="x",
    issued_by="1" * 64,
    serial="1",
    not_before=0,
    not_after=1,
    state=CertificateState.RECORDED,
    updated_at=0,
)


@pytest.fixture
def answer():
    """A function that registers a certificate, and has AWS IoT answer with an error."""

    def answer(code):
        iot = boto3.client("iot", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
        with Stubber(iot) as stub:
            stub.add_client_error("register_certificate", code)
            register(CERTIFICATE, ca=CA, iot=iot)

    return answer


def test_two_cas_of_one_subject_and_key_are_the_operators_to_tell_apart_and_raise_the_alarm(answer):
    with pytest.raises(Unavailable, match="`zymkey-fleet ca check`, and has to delete one of them") as refusal:
        answer("CertificateConflictException")
    assert "two CA certificates with one subject and key" in refusal.value.sentence
    assert "Failed" in str(count_of(refusal.value, refusal.value))


def test_a_certificate_that_aws_iot_does_not_take_is_refused(answer):
    with pytest.raises(BadRequest, match="does not take this certificate"):
        answer("CertificateValidationException")
