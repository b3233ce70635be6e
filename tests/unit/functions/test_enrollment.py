"""Enrollment with each issuer: who gets a certificate and which, and who is refused without a trace."""

import base64
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7
from cryptography.x509 import load_pem_x509_certificate

from functions.handlers import http_api
from pki.fingerprint import certificate_id
from tests.support import der
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate, assert_enrolled, csr_body
from tests.support.aws_functions import ENROLL, UPLOAD, api_event, issued, life_of, pem

each_issuer = pytest.mark.parametrize("issuer", ["kms", "aws", "external"], indirect=True)
each_issuer_that_signs = pytest.mark.parametrize("issuer", ["kms", "aws"], indirect=True)


# Which certificate


@each_issuer_that_signs
def test_a_key_that_was_allowed_beforehand_needs_no_secret(fleet):
    candidate = fleet.allow(Candidate())
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate, with_token=False)))


@each_issuer_that_signs
def test_the_same_key_gets_the_same_certificate_by_every_route_with_the_spent_token_or_with_none(fleet):
    candidate = fleet.invite(Candidate())
    first = issued(fleet.enroll(candidate))
    for label in ("", "/any-label"):
        for operation in ("simpleenroll", "simplereenroll"):
            route = f"POST /.well-known/est{label.replace('any-label', '{label}')}/{operation}"
            assert issued(fleet.answer(route, candidate.csr)) == first
            credentials = (candidate.name, candidate.token)
            assert issued(fleet.answer(route, candidate.csr, credentials=credentials)) == first
    assert_enrolled(fleet, candidate, first)


@each_issuer_that_signs
def test_a_renewal_that_the_operator_asks_for_brings_one_new_certificate_before_its_time(fleet):
    candidate = fleet.invite(Candidate())
    first = issued(fleet.enroll(candidate))
    fleet.ledger.ask_for_renewal(candidate.name, by="alice", now=int(time.time()))
    assert fleet.certificates_of(candidate.name) == {certificate_id(first): "ACTIVE"}, "it stays in use until then"
    second = issued(fleet.enroll(candidate, with_token=False))
    assert second != first
    assert issued(fleet.enroll(candidate, with_token=False)) == second
    device = fleet.ledger.device(candidate.name)
    assert (device.certificate_id, device.superseded) == (certificate_id(second), certificate_id(first))
    assert set(fleet.certificates_of(candidate.name)) == {certificate_id(first), certificate_id(second)}


def test_the_ca_in_kms_signs_what_the_settings_say_and_takes_nothing_but_the_key_from_the_csr(deploy, kms_authority):
    fleet = deploy("kms", subject={"O": "Example", "C": "DE"}, validity_days=10)
    ca, _ = kms_authority
    candidate = fleet.invite(Candidate())

    certificate = issued(fleet.enroll(candidate))

    certificate.verify_directly_issued_by(ca)
    assert certificate.subject.rfc4514_string() == f"CN={candidate.name},O=Example,C=DE"
    assert certificate.public_key() == candidate.public_key
    assert timedelta(days=10) <= timedelta(seconds=life_of(certificate)) <= timedelta(days=10, hours=1)


def test_of_several_cas_the_newest_signs(deploy, authority, kms_authority):
    ca, _ = kms_authority
    fleet = deploy("kms", ca_certificates=(authority.certificate, ca))
    issued(fleet.enroll(fleet.invite(Candidate()))).verify_directly_issued_by(ca)


def test_a_csr_for_a_ca_elsewhere_waits_for_its_upload_and_then_the_same_request_gets_the_certificate(
    deploy, authority
):
    fleet = deploy("external")
    candidate = fleet.invite(Candidate())
    before = fleet.everything()
    for _ in range(2):
        reply = fleet.enroll(candidate)
        assert (reply.status, reply.retry_after, "zymkey-fleet pending" in reply.text) == (202, 60, True)
    assert fleet.everything() == before, "nothing is in AWS IoT while a CSR waits"
    assert fleet.ledger.device(candidate.name).csr.startswith("-----BEGIN CERTIFICATE REQUEST-----")

    certificate = authority.sign(candidate)
    assert fleet.post(UPLOAD, pem(certificate)).status == 200

    assert issued(fleet.enroll(candidate)) == certificate
    assert_enrolled(fleet, candidate, certificate)
    assert fleet.ledger.device(candidate.name).csr is None


@pytest.mark.parametrize(
    ("before", "interrupted_at", "after"),
    [("kms", "RegisterCertificate", "aws"), ("aws", "AttachThingPrincipal", "kms")],
)
def test_an_unfinished_certificate_of_an_issuer_that_was_replaced_is_given_up(deploy, before, interrupted_at, after):
    replaced = deploy(before)
    candidate = replaced.invite(Candidate())
    assert replaced.enroll(candidate, Faults(operation=interrupted_at)).status == 503
    unfinished = replaced.ledger.device(candidate.name).unfinished

    fleet = deploy(after, ledger_table=replaced.choices.ledger_table)
    certificate = issued(fleet.enroll(candidate))

    assert certificate_id(certificate) != unfinished
    assert fleet.ledger.certificate(candidate.name, unfinished).state == "abandoned"
    assert_enrolled(fleet, candidate, certificate)


def test_what_a_retired_ca_has_signed_is_kept_and_renewed_by_the_ca_that_issues(deploy, authority, kms_authority):
    """The functions do not hear of a retired CA: ``infra/trust_stack.py`` leaves it out."""
    old = deploy("external")
    candidate = old.invite(Candidate())
    old.enroll(candidate)
    first = authority.sign(candidate)
    assert old.post(UPLOAD, pem(first)).status == 200

    fleet = deploy("kms", ledger_table=old.choices.ledger_table)
    assert fleet.choices.ca_certificate(certificate_id(authority.certificate)) is None
    assert issued(fleet.enroll(candidate)) == first
    renewed = issued(fleet.enroll(candidate, later=int(life_of(first) * 0.7)))
    renewed.verify_directly_issued_by(kms_authority[0])
    device = fleet.ledger.device(candidate.name)
    assert (device.certificate_id, device.superseded) == (certificate_id(renewed), certificate_id(first))


# Questions that need no key


def test_the_cas_are_shown_to_whoever_asks(deploy, authority, kms_authority):
    for issuer, ca in (("kms", kms_authority[0]), ("external", authority.certificate)):
        for label in ("", "/{label}"):
            reply = deploy(issuer).get(f"/.well-known/est{label}/cacerts")
            assert (reply.status, reply.headers["Content-Type"]) == (200, "application/pkcs7-mime")
            assert pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.text, validate=True)) == [ca]
    assert deploy("aws").get("/.well-known/est/cacerts").status == 404


@each_issuer
def test_the_configuration_tells_a_device_where_to_go(fleet):
    reply = fleet.get("/configuration")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.json == {
        "fleet": "zymkey",
        "issuer": fleet.issuer,
        "dataEndpoint": fleet.iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"],
        "httpsPort": 8443,
        "mqttPort": 8883,
        "topics": {"publish": ["devices/{device}/*"], "subscribe": ["devices/{device}/*"]},
    }


@each_issuer
def test_the_configuration_tells_who_gives_aws_credentials_where_a_fleet_has_them(fleet, deploy):
    reply = deploy(fleet.issuer, role_alias="zymkey-device").get("/configuration")
    endpoint = fleet.iot.describe_endpoint(endpointType="iot:CredentialProvider")["endpointAddress"]
    assert reply.json == fleet.get("/configuration").json | {
        "credentials": {"endpoint": endpoint, "roleAlias": "zymkey-device"}
    }


@each_issuer_that_signs
@pytest.mark.parametrize("operation", ["simpleenroll", "simplereenroll"])
def test_a_client_that_names_the_type_gets_the_configuration_with_its_certificate_and_others_get_est(fleet, operation):
    candidate = fleet.allow(Candidate())
    route = f"/.well-known/est/{operation}"
    both = fleet.post(
        route,
        candidate.csr,
        accept="application/vnd.zymkey-fleet.enrollment+json, application/pkcs7-mime;q=0.9",
    )
    assert (both.status, both.headers["Content-Type"]) == (200, "application/vnd.zymkey-fleet.enrollment+json")
    assert set(both.json) == {"certificate", "configuration"}
    assert both.json["configuration"] == fleet.get("/configuration").json
    for accept in (None, "*/*", "application/pkcs7-mime", "application/*, application/json"):
        certificate = issued(fleet.post(route, candidate.csr, accept=accept))
        assert both.json["certificate"].encode() == pem(certificate)
    assert_enrolled(fleet, candidate, certificate)


@pytest.mark.parametrize("kind", ["refused", "throttled", "killed"])
def test_a_certificate_whose_configuration_cannot_be_told_is_told_with_the_next_request(fleet, kind):
    candidate, accept = fleet.allow(Candidate()), "application/vnd.zymkey-fleet.enrollment+json"
    faults = Faults(operation="DescribeEndpoint", kind=kind)
    with suppress(Killed):
        assert fleet.post(ENROLL, candidate.csr, accept=accept, faults=faults).status == 503
    assert faults.fired
    both = fleet.post(ENROLL, candidate.csr, accept=accept)
    assert_enrolled(fleet, candidate, load_pem_x509_certificate(both.json["certificate"].encode()))


# Refusals


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


def test_the_one_call_that_must_not_be_repeated_has_a_client_of_its_own(deploy, breakable_aws):
    """The SDK repeats a call whose reply was lost, and Amazon's CA would sign a second certificate."""
    fleet = deploy("aws")
    candidate = fleet.allow(Candidate())
    faults, once = Faults(), breakable_aws("iot")
    faults.watch(once)
    deployment = replace(fleet.deployment(), iot_once=once)
    assert http_api.answer(api_event(f"POST {ENROLL}", candidate.csr), deployment)["statusCode"] == 200
    assert faults.calls == ["CreateCertificateFromCsr"]


# Approval


@pytest.fixture
def approving(deploy):
    return deploy("kms", uninvited="approve")


def test_an_uninvited_key_waits_for_its_approval_and_is_told_what_the_operator_has_to_type(approving):
    candidate = Candidate()
    before = approving.everything()
    reply = approving.enroll(candidate, with_token=False)
    assert (reply.status, reply.retry_after) == (202, 30)
    assert f"zymkey-fleet approve {candidate.fingerprint}" in reply.text
    assert approving.everything() == before
    (request,) = approving.ledger.requests()
    assert (request.fingerprint, request.suggested_name) == (candidate.fingerprint, candidate.name)

    approving.ledger.allow(
        candidate.name, fingerprint=candidate.fingerprint, by="test", now=int(time.time()), approved=True
    )
    assert_enrolled(approving, candidate, issued(approving.enroll(candidate, with_token=False)))


def test_of_a_stranger_s_long_name_only_the_beginning_is_kept(approving):
    stranger = Candidate()
    body = der.csr(stranger.key, der.name(("CN", der.UTF8, b"x" * 1500)))
    assert approving.post(ENROLL, body).status == 202
    (request,) = approving.ledger.requests()
    assert request.suggested_name == "x" * 64


def test_a_rejected_key_is_told_so(approving):
    candidate = Candidate()
    assert approving.enroll(candidate, with_token=False).status == 202
    approving.ledger.reject(candidate.fingerprint, now=int(time.time()))
    reply = approving.enroll(candidate, with_token=False)
    assert (reply.status, "rejected" in reply.text) == (403, True)


def test_of_strangers_only_so_many_may_wait(approving, monkeypatch):
    monkeypatch.setattr("ledger.waiting_keys.MAX_REQUESTS", 1)
    assert approving.enroll(Candidate(), with_token=False).status == 202
    reply = approving.enroll(Candidate(), with_token=False)
    assert (reply.status, reply.retry_after) == (429, 300)
    assert len(list(approving.ledger.requests())) == 1
