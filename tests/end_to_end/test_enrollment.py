"""Enrollment at the deployed endpoint, over real HTTP: who gets a certificate, and who is refused without a trace."""

import base64
import subprocess
import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

from pki.fingerprint import certificate_id
from tests.support.cloud.enrollment import Candidate, Cloud, assert_enrolled, csr_body, issued

ENROLL = "/.well-known/est/simpleenroll"


@pytest.fixture(scope="module")
def cloud(sandbox):
    return Cloud(sandbox)


def test_an_invited_key_gets_one_active_certificate_with_the_fleets_policy(cloud):
    candidate = cloud.invite(Candidate())
    assert_enrolled(cloud, candidate, issued(cloud.enroll(candidate)))


def test_the_same_key_asking_again_gets_the_same_bytes_with_the_spent_token_or_with_none(cloud):
    candidate = cloud.invite(Candidate())
    first = issued(cloud.enroll(candidate))
    assert issued(cloud.enroll(candidate)) == first
    assert issued(cloud.enroll(candidate, with_token=False)) == first
    assert issued(cloud.enroll(candidate, with_token=False, operation="simplereenroll")) == first
    assert_enrolled(cloud, candidate, first)


def test_a_key_that_was_allowed_beforehand_needs_no_secret(cloud):
    candidate = Candidate()
    cloud.ledger.allow(candidate.name, fingerprint=candidate.fingerprint, by="test", now=int(time.time()))
    assert_enrolled(cloud, candidate, issued(cloud.enroll(candidate, with_token=False)))


@pytest.mark.parametrize("path", ["/.well-known/est", "/.well-known/est/any-label"])
def test_est_answers_with_and_without_a_label(cloud, path):
    reply = cloud.get(f"{path}/cacerts")
    assert reply.headers["Content-Type"] == "application/pkcs7-mime"
    (ca,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.content, validate=True))
    candidate = cloud.invite(Candidate())
    certificate = issued(
        cloud.post(f"{path}/simpleenroll", candidate.csr, credentials=(candidate.name, candidate.token))
    )
    certificate.verify_directly_issued_by(ca)


def test_the_configuration_tells_a_device_where_to_go_and_holds_no_secret(cloud):
    document = cloud.get("/configuration").json()
    assert document["issuer"] == "kms"
    assert document["dataEndpoint"]
    assert (document["httpsPort"], document["mqttPort"]) == (8443, 8883)
    assert all("{device}" in topic for topic in document["topics"]["publish"])


def test_two_simultaneous_requests_of_one_key_end_with_one_certificate(cloud):
    candidate = cloud.invite(Candidate())
    replies = []
    barrier = threading.Barrier(4)

    def ask():
        barrier.wait()
        replies.append(cloud.enroll(candidate))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {reply.status_code for reply in replies} <= {200, 202}
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in replies if reply.status_code == 202)
    certificates = {certificate_id(issued(reply)) for reply in replies if reply.status_code == 200}
    assert len(certificates) == 1
    assert_enrolled(cloud, candidate, issued(cloud.enroll(candidate)))


def anybody(cloud, candidate):
    return cloud.post(ENROLL, candidate.csr)


def never_invited(cloud, candidate):
    return cloud.enroll(candidate)


def wrong_token(cloud, candidate):
    cloud.invite(candidate)
    return cloud.post(ENROLL, candidate.csr, credentials=(candidate.name, "not-the-token"))


def expired_token(cloud, candidate):
    cloud.invite(candidate, lasts=-1)
    return cloud.enroll(candidate)


def name_of_another_invitation(cloud, candidate):
    other = cloud.invite(Candidate())
    cloud.invite(candidate)
    return cloud.post(ENROLL, csr_body(candidate.key, ""), credentials=(other.name, candidate.token))


def name_that_cannot_be(cloud, candidate):
    return cloud.post(ENROLL, csr_body(candidate.key, ""), credentials=("pi/+#", candidate.token))


def common_name_of_another_device(cloud, candidate):
    cloud.invite(candidate)
    return cloud.post(ENROLL, csr_body(candidate.key, "somebody-else"), credentials=(candidate.name, candidate.token))


def csr(body):
    def send(cloud, candidate):
        cloud.invite(candidate)
        content = body(candidate) if callable(body) else body
        return cloud.post(ENROLL, content, credentials=(candidate.name, candidate.token))

    return send


def forged(candidate):
    """A CSR whose signature was made by another key."""
    der = bytearray(base64.b64decode(csr_body(candidate.key, candidate.name)))
    der[-1] ^= 1
    return base64.b64encode(bytes(der))


def signed_with_sha1(candidate):
    """As an old script would make it; the ``cryptography`` package declines to."""
    pem = candidate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    command = ["openssl", "req", "-new", "-sha1", "-key", "/dev/stdin", "-subj", f"/CN={candidate.name}"]
    return subprocess.run(command, input=pem, capture_output=True, check=True).stdout


def of_key(make):
    return lambda candidate: csr_body(make(), candidate.name)


def ed25519_csr(candidate):
    return csr_body(ed25519.Ed25519PrivateKey.generate(), candidate.name, hash_algorithm=None)


REFUSED = {
    "no token": (anybody, 401, "This key has no invitation"),
    "never invited": (never_invited, 401, "no invitation for a device"),
    "wrong token": (wrong_token, 401, "not the token of device"),
    "expired token": (expired_token, 401, "has expired"),
    "token of another name": (name_of_another_invitation, 401, "not the token of device"),
    "impossible name": (name_that_cannot_be, 400, "letters, digits, hyphens"),
    "another device's common name": (common_name_of_another_device, 400, "common name is 'somebody-else'"),
    "wrong signature": (csr(forged), 400, "does not verify"),
    "RSA-1024": (csr(of_key(lambda: rsa.generate_private_key(65537, 1024))), 400, "RSA-1024"),  # noqa: S505
    "P-224": (csr(of_key(lambda: ec.generate_private_key(ec.SECP224R1()))), 400, "secp224r1"),
    "ed25519": (csr(ed25519_csr), 400, "Ed25519"),
    "SHA-1": (csr(signed_with_sha1), 400, "SHA1"),
    "too long": (csr(b"A" * 4097), 400, "4,097 characters"),
    "not base64": (csr(b"%%%"), 400, "not base64"),
    "not DER": (csr(base64.b64encode(b"hello")), 400, "not a PKCS#10"),
    "empty": (csr(b""), 400, "empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_sentence_and_without_a_trace_in_aws_iot(cloud, case):
    send, status, sentence = REFUSED[case]
    before = cloud.everything()
    candidate = Candidate()
    reply = send(cloud, candidate)
    assert (reply.status_code, sentence in reply.text) == (status, True), reply.text
    assert reply.text.count("\n") == 1
    assert candidate.token not in reply.text
    assert ("WWW-Authenticate" in reply.headers) == (status == 401)
    assert cloud.everything() == before


def test_a_spent_token_is_refused_to_a_second_key(cloud):
    first = cloud.invite(Candidate())
    certificate = issued(cloud.enroll(first))
    before = cloud.everything()
    reply = cloud.enroll(Candidate(name=first.name, token=first.token))
    assert (reply.status_code, "Another key has used this token" in reply.text) == (401, True)
    assert cloud.everything() == before
    assert_enrolled(cloud, first, certificate)


def test_a_key_cannot_become_a_second_device_even_with_a_good_token(cloud):
    first = cloud.invite(Candidate())
    certificate = issued(cloud.enroll(first))
    second = cloud.invite(Candidate(key=first.key))
    before = cloud.everything()
    reply = cloud.enroll(second)
    assert (reply.status_code, "another name" in reply.text, first.name in reply.text) == (403, True, False)
    assert cloud.everything() == before
    assert_enrolled(cloud, first, certificate)


def test_a_blocked_device_is_refused(cloud):
    candidate = cloud.invite(Candidate())
    issued(cloud.enroll(candidate))
    cloud.ledger.block(candidate.name, by="test", now=int(time.time()))
    reply = cloud.enroll(candidate)
    assert (reply.status_code, "blocked" in reply.text) == (403, True)


def test_a_mistaken_request_does_not_spend_the_token(cloud):
    candidate = cloud.invite(Candidate())
    refused = cloud.post(ENROLL, csr_body(candidate.key, "other"), credentials=(candidate.name, candidate.token))
    assert refused.status_code == 400
    assert_enrolled(cloud, candidate, issued(cloud.enroll(candidate)))
