"""The custom resource that makes a CA: once, with a key that stays in KMS, whatever breaks meanwhile."""

import itertools
import re
import subprocess
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from functions.certificate_authority import CertificateAuthorityError, answer, patiently
from ledger import CertificateAuthority, Ledger
from pki.certificates import ca_certificate
from tests.support.aws_faults import Faults
from tests.support.ledger import create_table
from tests.support.role import MAKER, OfRole, granted

SUBJECT = {"Name": "2030", "CommonName": "made for a test", "Organization": "Example", "ValidityYears": "10"}


@pytest.fixture
def new_maker(aws, breakable_aws):
    """A function that makes a KMS key, and returns one that answers events for it."""

    def new_maker():
        key = aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        table = create_table(aws("dynamodb"))

        def make(request="Create", faults=None, **changes):
            """With some faults, and some properties of its own."""
            clients = [breakable_aws(service) for service in ("dynamodb", "kms", "iot")]
            (faults or Faults()).watch(*clients)
            event = {"RequestType": request, "ResourceProperties": {"KeyArn": key, **SUBJECT, **changes}}
            dynamodb, kms, iot = (OfRole(each, granted("kms", MAKER)) for each in clients)
            ledger = Ledger(client=dynamodb, table=table)
            return answer(event, ledger=ledger, kms=kms, iot=iot, now=datetime.now(UTC))

        make.key, make.ledger = key, Ledger(client=aws("dynamodb"), table=table)
        return make

    return new_maker


@pytest.fixture
def make(new_maker):
    return new_maker()


def test_aws_iot_takes_the_ca_and_openssl_finds_nothing_wrong_with_it(aws, make, tmp_path):
    data = make()["Data"]
    ca = tmp_path / "ca.pem"
    ca.write_text(data["CertificatePem"])
    verified = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-CAfile", ca, ca], capture_output=True, check=False
    )
    assert verified.returncode == 0, verified.stderr
    certificate = x509.load_pem_x509_certificate(ca.read_bytes())
    assert certificate.subject == certificate.issuer
    assert certificate.subject.rfc4514_string().endswith(",CN=made for a test,O=Example")
    aws("iot").register_ca_certificate(
        caCertificate=data["CertificatePem"], verificationCertificate=data["VerificationCertificatePem"]
    )


def test_no_two_deployments_have_a_ca_of_one_subject_although_their_settings_are_the_same(new_maker):
    """AWS IoT takes at most 10 CAs with one subject in an account."""
    subjects = {
        x509.load_pem_x509_certificate(new_maker()()["Data"]["CertificatePem"].encode()).subject for _ in range(3)
    }
    assert len(subjects) == 3
    (number,) = subjects.pop().get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)
    assert re.fullmatch(r"[0-9a-f-]{36}", number.value), "the key's id, which no two keys share"


def test_a_ca_of_the_first_release_stays_as_it_is(make):
    """Its subject has no number, and nothing that is remembered of it says so."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = ca_certificate(
        signer=key, common_name="made for a test", organization="Example", validity_years=10, now=datetime.now(UTC)
    )
    pem = certificate.public_bytes(Encoding.PEM).decode()
    make.ledger.keep_certificate_authority(
        CertificateAuthority(
            name="2030",
            key_arn=make.key,
            subject="CN=made for a test,O=Example",
            certificate_pem=pem,
            verification_pem="proof",
            validity_years=10,
        )
    )
    assert make("Update")["Data"] == {"CertificatePem": pem, "VerificationCertificatePem": "proof"}
    with pytest.raises(CertificateAuthorityError, match="was made as CN=made for a test,O=Example for 10 years"):
        make("Update", CommonName="another")


def test_every_later_update_returns_the_same_bytes_under_the_same_id(make):
    first = make()
    assert make("Update") == first
    assert make() == first
    assert first["PhysicalResourceId"] == "certificate-authority/2030"


@pytest.mark.parametrize("change", [{"CommonName": "another"}, {"Organization": ""}, {"ValidityYears": "11"}])
def test_a_changed_ca_is_refused_with_the_way_to_a_new_one(make, change):
    made = make()
    with pytest.raises(CertificateAuthorityError, match="add another after it, under a new name"):
        make("Update", **change)
    assert make("Update") == made


def test_an_adopted_ca_is_the_one_that_the_ledger_has(make):
    made = make()
    assert make(Adopted="true") == made


def test_a_key_that_the_ledger_does_not_know_is_not_adopted_and_nothing_is_made(make):
    with pytest.raises(CertificateAuthorityError, match=r"no CA with the key arn:.*'2030'.*`zymkey-fleet adopt`"):
        make(Adopted="true")
    with pytest.raises(CertificateAuthorityError):
        make(Adopted="true")


def test_a_deletion_forgets_nothing(make):
    made = make()
    make("Delete")
    assert make() == made


@pytest.mark.parametrize("kind", ["refused", "lost"])
def test_a_call_that_breaks_fails_the_deployment_and_the_next_one_makes_one_ca(new_maker, kind):
    for position in itertools.count():
        make = new_maker()
        faults = Faults(position=position, kind=kind)
        try:
            make("Create", faults)
        except Exception:  # noqa: BLE001  whatever it is, CloudFormation hears of it
            assert faults.fired
        if not faults.fired:
            break
        assert make() == make("Update")
    assert set(faults.calls) == {"GetItem", "GetPublicKey", "Sign", "GetRegistrationCode", "TransactWriteItems"}


def test_permissions_that_iam_has_not_spread_yet_are_waited_for():
    waited = []
    answers = iter([_denied("AccessDeniedException"), _denied("AccessDenied"), {"Data": {}}])

    def work():
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    assert patiently(work, pause=waited.append) == {"Data": {}}
    assert waited == [5, 5]


def test_what_stays_denied_fails_and_so_does_anything_else_at_once():
    waited = []

    def denied():
        raise _denied("AccessDeniedException")

    def broken():
        raise _denied("ValidationException")

    with pytest.raises(ClientError, match="AccessDenied"):
        patiently(denied, pause=waited.append)
    assert sum(waited) == 60
    with pytest.raises(ClientError, match="Validation"):
        patiently(broken, pause=pytest.fail)


def _denied(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Sign")
