"""Who gets no certificate: a sentence with its status, no trace in AWS IoT, and no token spent."""

import base64
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support import der
from tests.support.aws_fleet import Candidate, assert_enrolled, csr_body
from tests.support.aws_functions import (
    ENROLL,
    each_issuer,
    each_issuer_that_signs,
    issued,
)


def anybody(fleet, candidate):
    return fleet.post(ENROLL, candidate.csr)


def never_invited(fleet, candidate):
    return fleet.enroll(candidate)


def wrong_token(fleet, candidate):
    fleet.invite(candidate)
    return fleet.post(ENROLL, candidate.csr, credentials=(candidate.name, "not-the-token"))


def expired_token(fleet, candidate):
    fleet.invite(candidate, lasts=-1)
    return fleet.enroll(candidate)


def name_of_another_invitation(fleet, candidate):
    other = fleet.invite(Candidate())
    fleet.invite(candidate)
    return fleet.post(ENROLL, csr_body(candidate.key, other.name), credentials=(other.name, candidate.token))


def name_that_cannot_be(fleet, candidate):
    return fleet.post(ENROLL, csr_body(candidate.key, "pi/+#"), credentials=("pi/+#", candidate.token))


def common_name_of_another_device(fleet, candidate):
    fleet.invite(candidate)
    return fleet.post(ENROLL, csr_body(candidate.key, "somebody-else"), credentials=(candidate.name, candidate.token))


def csr(body):
    def send(fleet, candidate):
        fleet.invite(candidate)
        content = body(candidate) if callable(body) else body
        return fleet.post(ENROLL, content, credentials=(candidate.name, candidate.token))

    return send


def forged(candidate):
    """A CSR whose signature was made by another key."""
    der = bytearray(base64.b64decode(csr_body(candidate.key, candidate.name)))
    der[-1] ^= 1
    return base64.b64encode(bytes(der))


def signed_with_sha1(candidate):
    """As an old script would make it; the ``cryptography`` package declines to."""
    key = candidate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    command = ["openssl", "req", "-new", "-sha1", "-key", "/dev/stdin", "-subj", f"/CN={candidate.name}"]
    return subprocess.run(command, input=key, capture_output=True, check=True).stdout


def of_key(make):
    return lambda candidate: csr_body(make(), candidate.name)


def ed25519_csr(candidate):
    return csr_body(ed25519.Ed25519PrivateKey.generate(), candidate.name, hash_algorithm=None)


REFUSED = {
    "no token": (anybody, 401, "This key has no invitation"),
    "never invited": (never_invited, 401, "This key has no invitation"),
    "wrong token": (wrong_token, 401, "This key has no invitation"),
    "expired token": (expired_token, 401, "This key has no invitation"),
    "token of another name": (name_of_another_invitation, 401, "This key has no invitation"),
    "impossible name": (name_that_cannot_be, 400, "letters, digits, hyphens"),
    "another device's common name": (common_name_of_another_device, 400, "common name is 'somebody-else'"),
    "wrong signature": (csr(forged), 400, "does not verify"),
    "RSA-1024": (csr(of_key(lambda: rsa.generate_private_key(65537, 1024))), 400, "RSA-1024"),  # noqa: S505
    "P-224": (csr(of_key(lambda: ec.generate_private_key(ec.SECP224R1()))), 400, "secp224r1"),
    "ed25519": (csr(ed25519_csr), 400, "Ed25519"),
    "SHA-1": (csr(signed_with_sha1), 400, "SHA1"),
    "too long": (csr(b"A" * 16_385), 400, "16,385 characters"),
    "not base64": (csr(b"%%%"), 400, "not base64"),
    "not DER": (csr(base64.b64encode(b"hello")), 400, "not a PKCS#10"),
    "empty": (csr(b""), 400, "empty"),
}


@each_issuer
@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_sentence_and_without_a_trace_in_aws_iot(fleet, case):
    send, status, sentence = REFUSED[case]
    before = fleet.everything()
    candidate = Candidate()
    reply = send(fleet, candidate)
    assert (reply.status, sentence in reply.text) == (status, True), reply.text
    assert reply.text.count("\n") == 1
    assert candidate.token not in reply.text
    assert ("WWW-Authenticate" in reply.headers) == (status == 401)
    assert fleet.everything() == before
    device = fleet.ledger.device(candidate.name)
    assert device is None or (device.state, device.fingerprint) == ("invited", None)


@each_issuer_that_signs
def test_a_spent_token_is_refused_to_a_second_key(fleet):
    first = fleet.invite(Candidate())
    certificate = issued(fleet.enroll(first))
    before = fleet.everything()
    reply = fleet.enroll(Candidate(name=first.name, token=first.token))
    assert (reply.status, "This key has no invitation" in reply.text) == (401, True)
    assert fleet.everything() == before
    assert_enrolled(fleet, first, certificate)


@each_issuer_that_signs
def test_a_key_cannot_become_a_second_device_even_with_a_good_token(fleet):
    first = fleet.invite(Candidate())
    certificate = issued(fleet.enroll(first))
    second = fleet.invite(Candidate(key=first.key))
    before = fleet.everything()
    reply = fleet.enroll(second)
    assert (reply.status, "another name" in reply.text, first.name in reply.text) == (403, True, False)
    assert fleet.everything() == before
    assert_enrolled(fleet, first, certificate)


@each_issuer_that_signs
def test_a_blocked_device_is_refused_and_let_in_again_when_it_is_unblocked(fleet):
    candidate = fleet.invite(Candidate())
    certificate = issued(fleet.enroll(candidate))
    fleet.ledger.block(candidate.name, by="test", now=int(time.time()))
    reply = fleet.enroll(candidate)
    assert (reply.status, "blocked" in reply.text) == (403, True)
    fleet.ledger.unblock(candidate.name, by="test", now=int(time.time()))
    assert issued(fleet.enroll(candidate)) == certificate


@each_issuer
def test_a_known_key_whose_csr_has_another_name_is_told_both_names(fleet):
    candidate = fleet.allow(Candidate())
    reply = fleet.post(ENROLL, csr_body(candidate.key, "somebody-else"))
    assert (reply.status, "'somebody-else'" in reply.text, candidate.name in reply.text) == (400, True, True)
    assert fleet.ledger.device(candidate.name).state == "invited", "nothing was written for it"


@each_issuer_that_signs
def test_a_mistaken_request_does_not_spend_the_token(fleet):
    candidate = fleet.invite(Candidate())
    credentials = (candidate.name, candidate.token)
    assert fleet.post(ENROLL, csr_body(candidate.key, "other"), credentials=credentials).status == 400
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate)))


@pytest.mark.parametrize(
    ("string", "status"), [(der.UTF8, 200), (der.PRINTABLE, 200), (der.TELETEX, 400), (der.BMP, 400)]
)
def test_amazon_gets_no_name_that_it_may_read_otherwise(deploy, string, status):
    fleet = deploy("aws")
    candidate = fleet.allow(Candidate())
    body = der.csr(candidate.key, der.name(("CN", string, candidate.name.encode(der.ENCODINGS[string]))))
    reply = fleet.post(ENROLL, body)
    assert (reply.status, "may read otherwise" in reply.text) == (status, status == 400)
    assert deploy("kms").post(ENROLL, body).status == 401, "it matters to no other issuer"
