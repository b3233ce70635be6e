"""One external CA in two Regions (SNI_ONLY): one certificate works in both, and each ledger knows its own story."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from functions.deployment import Choices
from ledger import CertificateState
from pki.certificates import ca_certificate
from pki.fingerprint import certificate_id
from tests.support.aws_fleet import Candidate, assert_enrolled
from tests.support.aws_functions import UPLOAD, FunctionsInProcess, issued, pem
from tests.support.cloud.external_authority import Authority
from tests.support.functions_deployed import TOPICS
from tests.support.ledger import create_table

HOME, AWAY = "eu-central-1", "eu-west-1"
DAY = 86_400


@pytest.fixture(scope="module")
def authority():
    key = ec.generate_private_key(ec.SECP256R1())
    ca = ca_certificate(
        signer=key, common_name="our CA", organization="", validity_years=20, now=datetime.now(UTC) - timedelta(days=99)
    )
    return Authority(ca, key)


@pytest.fixture(scope="module")
def in_regions(aws_in, authority):
    """A function that makes a deployment in a Region, which has registered the CA without a verification."""
    for region in (HOME, AWAY):
        iot = aws_in(region)("iot")
        ca = iot.register_ca_certificate(
            caCertificate=pem(authority.certificate).decode(), certificateMode="SNI_ONLY", setAsActive=True
        )
        described = iot.describe_ca_certificate(certificateId=ca["certificateId"])["certificateDescription"]
        assert (described["status"], described["certificateMode"]) == ("ACTIVE", "SNI_ONLY")
        iot.create_policy(policyName="devices", policyDocument='{"Version": "2012-10-17", "Statement": []}')

    def deploy(region, issuer="external"):
        aws = aws_in(region)
        choices = Choices(
            fleet="zymkey",
            issuer=issuer,
            ledger_table=create_table(aws("dynamodb")),
            iot_policy="devices",
            ca_certificates=(authority.certificate,) if issuer == "external" else (),
            ca_key_arn="",
            subject={},
            validity_days=365,
            topics=TOPICS,
            uninvited="refuse",
            registrations_per_second=1000,
        )
        return FunctionsInProcess(choices=choices, client=aws, breakable_client=aws)

    return deploy


@pytest.fixture
def home(in_regions):
    return in_regions(HOME)


@pytest.fixture
def away(in_regions):
    return in_regions(AWAY)


def state_of(fleet, candidate, certificate):
    return fleet.ledger.certificate(candidate.name, certificate_id(certificate)).state


def test_a_certificate_that_both_have_is_what_either_answers_the_device_with(home, away, authority):
    device = Candidate()
    home.allow(device)
    away.allow(device)
    certificate = authority.sign(device)
    assert home.enroll(device, with_token=False).status == 202
    for fleet in (home, away):
        assert fleet.post(UPLOAD, pem(certificate)).status == 200
    # To there and back: the same bytes, at once, and nobody has to sign.
    for fleet in (home, away, home):
        assert issued(fleet.enroll(device, with_token=False)) == certificate
    for fleet in (home, away):
        assert_enrolled(fleet, device, certificate)


def test_a_deployment_that_lacks_the_certificate_has_the_device_wait_and_takes_nothing_from_it(home, away, authority):
    device = Candidate()
    home.allow(device)
    certificate = authority.sign(device)
    assert home.post(UPLOAD, pem(certificate)).status == 200
    assert away.enroll(device, with_token=False).status == 401, "nobody let its key in there"
    away.allow(device)
    assert away.enroll(device, with_token=False).status == 202
    assert away.status_of(certificate) is None
    assert_enrolled(home, device, certificate)
    assert away.post(UPLOAD, pem(certificate)).status == 200
    assert issued(away.enroll(device, with_token=False)) == certificate


def test_a_renewal_in_one_of_them_is_brought_to_the_other_before_the_old_one_ends(home, away, authority):
    device = Candidate()
    old = authority.sign(device, now=datetime.now(UTC) - timedelta(days=25))
    for fleet in (home, away):
        fleet.allow(device)
        assert fleet.post(UPLOAD, pem(old)).status == 200
    new = authority.sign(device)
    assert away.post(UPLOAD, pem(new)).status == 200
    assert (away.status_of(old), away.status_of(new)) == ("ACTIVE", "ACTIVE")
    assert (home.status_of(old), home.status_of(new)) == ("ACTIVE", None)
    assert home.enroll(device, with_token=False).status == 202, "what it has there is due: the device keeps its new one"
    assert home.post(UPLOAD, pem(new)).status == 200
    assert issued(home.enroll(device, with_token=False)) == new
    # Brought in the other order, the old one is refused, and undoes nothing.
    assert home.post(UPLOAD, pem(old)).status in (400, 409)
    assert state_of(home, device, new) is CertificateState.ACTIVE


def test_a_block_in_one_of_them_leaves_the_other_open(home, away, authority):
    device = Candidate()
    certificate = authority.sign(device)
    for fleet in (home, away):
        fleet.allow(device)
        assert fleet.post(UPLOAD, pem(certificate)).status == 200
    home.ledger.block(device.name, by="alice", now=int(time.time()))
    assert home.enroll(device, with_token=False).status == 403
    assert issued(away.enroll(device, with_token=False)) == certificate


def test_where_each_has_an_issuer_of_its_own_the_device_has_a_certificate_for_each_and_the_same_key(in_regions):
    device, certificates = Candidate(), []
    fleets = [in_regions(region, "aws") for region in (HOME, AWAY)]
    for fleet in fleets:
        fleet.allow(device)
        certificates.append(issued(fleet.enroll(device, with_token=False)))
    assert certificates[0] != certificates[1]
    assert certificates[0].public_key() == certificates[1].public_key()
    assert issued(fleets[0].enroll(device, with_token=False)) == certificates[0], "it comes back to the one that it had"
