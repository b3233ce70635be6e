"""A CA elsewhere: CSRs that wait, finished certificates that are uploaded, factory certificates that just connect."""

import datetime as dt
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from pki.fingerprint import certificate_id
from tests.support.cloud.enrollment import Candidate, Cloud, assert_enrolled, issued, new_name
from tests.support.cloud.external_authority import Authority
from tests.support.cloud.mqtt import MqttConnection

pytestmark = pytest.mark.parametrize("issuer", ["external"], indirect=True)

NOW = dt.datetime.now(dt.UTC)
UPLOAD = "/certificates"


@pytest.fixture
def cloud(sandbox):
    return Cloud(sandbox)


@pytest.fixture
def authority(sandbox):
    return Authority.of(sandbox)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def allow(cloud, candidate: Candidate) -> Candidate:
    cloud.ledger.allow(candidate.name, fingerprint=candidate.fingerprint, by="test", now=int(time.time()))
    return candidate


def upload(cloud, body: bytes, credentials=None):
    return cloud.post(UPLOAD, body, credentials=credentials, content_type="application/x-pem-file")


def upload_until_taken(cloud, body: bytes):
    """An event of a moment ago may still be at work for the same key: then 202, and the event may be the first."""
    for _ in range(10):
        reply = upload(cloud, body)
        if reply.status_code != 202:
            break
        time.sleep(1)
    return reply


# The queue


def test_a_csr_waits_until_its_certificate_is_uploaded_and_then_the_same_request_gets_it(cloud, authority):
    candidate = cloud.invite(Candidate())
    before = cloud.everything()
    for _ in range(2):
        reply = cloud.enroll(candidate)
        assert (reply.status_code, int(reply.headers["Retry-After"]) > 0) == (202, True)
    assert cloud.everything() == before, "nothing is in AWS IoT while a CSR waits"
    assert cloud.ledger.device(candidate.name).csr.startswith("-----BEGIN CERTIFICATE REQUEST-----")
    certificate = authority.sign(candidate)
    assert upload(cloud, pem(certificate)).status_code == 200
    assert issued(cloud.enroll(candidate)) == certificate
    assert_enrolled(cloud, candidate, certificate)
    assert cloud.ledger.device(candidate.name).csr is None


# Upload


def test_a_finished_certificate_is_taken_with_its_chain_and_with_a_token_that_binds_its_key(cloud, authority):
    candidate = cloud.invite(Candidate())
    certificate = authority.sign(candidate)
    body = b"subject=/CN=whatever\n" + pem(certificate, authority.certificate)
    assert upload(cloud, body, (candidate.name, candidate.token)).json() == {
        "device": candidate.name,
        "certificateId": certificate_id(certificate),
        "notAfter": int(certificate.not_valid_after_utc.timestamp()),
    }
    assert_enrolled(cloud, candidate, certificate)


def test_a_wrong_certificate_is_refused_with_its_reason_and_without_a_trace(cloud, authority):
    """One for all that tests/unit/functions/test_upload.py tries in process."""
    candidate = allow(cloud, Candidate())
    before = cloud.everything()
    reply = upload(cloud, pem(authority.sign(candidate, device="somebody-else")))
    assert (reply.status_code, "common name" in reply.text) == (400, True), reply.text
    assert cloud.everything() == before
    assert cloud.ledger.device(candidate.name).state == "invited"


def test_a_certificate_that_is_registered_already_is_refused_and_says_so(cloud, authority):
    candidate = allow(cloud, Candidate())
    certificate = authority.sign(candidate)
    assert upload(cloud, pem(certificate)).status_code == 200
    again = upload(cloud, pem(certificate))
    assert (again.status_code, "already registered" in again.text) == (409, True)
    assert_enrolled(cloud, candidate, certificate)


# First connection


@pytest.fixture
def factory_device(cloud, authority, tmp_path: Path):
    """A device that came out of the factory with a certificate which AWS IoT has never seen."""

    class FactoryDevice(Candidate):
        def made(self) -> "FactoryDevice":
            self.certificate = authority.sign(self)
            (tmp_path / f"{self.name}.crt").write_bytes(pem(self.certificate))
            key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (tmp_path / f"{self.name}.key").write_bytes(key)
            return self

        def connects(self, sandbox) -> bool:
            files = {"certificate": tmp_path / f"{self.name}.crt", "key": tmp_path / f"{self.name}.key"}
            with MqttConnection(sandbox.env, client_id=self.name, **files) as connection:
                return connection.is_connected

        def connects_after(self, sandbox, *pauses: float) -> bool:
            """Tries again after each pause. Seldom: with each try the emulator raises the event again."""
            for seconds in pauses:
                time.sleep(seconds)
                if self.connects(sandbox):
                    return True
            return False

    return lambda: FactoryDevice(name=new_name("factory")).made()


def status_of(cloud, device) -> str:
    return cloud.iot.describe_certificate(certificateId=certificate_id(device.certificate))["certificateDescription"][
        "status"
    ]


def test_a_known_key_is_let_in_after_its_first_connection_was_dropped(sandbox, cloud, factory_device):
    device = factory_device()
    allow(cloud, device)
    assert not device.connects(sandbox), "the first connection only makes AWS IoT look"
    assert device.connects_after(sandbox, 1, 2, 4, 8, 16)
    assert_enrolled(cloud, device, device.certificate)


def test_an_unknown_key_is_left_inactive_and_let_in_by_its_upload_once_it_is_allowed(sandbox, cloud, factory_device):
    device = factory_device()
    assert not device.connects(sandbox)
    assert not device.connects_after(sandbox, 3)
    assert status_of(cloud, device) == "PENDING_ACTIVATION"
    allow(cloud, device)
    assert upload_until_taken(cloud, pem(device.certificate)).status_code in (200, 409)
    assert device.connects_after(sandbox, 0, 1, 2, 4)
    assert_enrolled(cloud, device, device.certificate)


def test_a_blocked_key_is_left_inactive(sandbox, cloud, factory_device):
    device = factory_device()
    allow(cloud, device)
    cloud.ledger.block(device.name, by="test", now=int(time.time()))
    assert not device.connects(sandbox)
    assert not device.connects_after(sandbox, 3)
    assert status_of(cloud, device) == "PENDING_ACTIVATION"
