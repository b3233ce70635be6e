"""Enrollment at the deployed endpoint, over real HTTP, with the function's own role.

Each refusal and each issuer is tried in process by tests/unit/functions; here stand those that the way over HTTP could
change: what has no body, what is no text, and what needs a header in the reply.
"""

import base64
import threading

import pytest
from cryptography.hazmat.primitives.serialization import pkcs7

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


REFUSED = {
    "no token": (anybody, 401, "This key has no invitation"),
    "wrong signature": (csr(forged), 400, "does not verify"),
    "too long": (csr(b"A" * 16_385), 400, "16,385 characters"),
    "not base64": (csr(b"%%%"), 400, "not base64"),
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
