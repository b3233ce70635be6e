"""Enrollment with each issuer: which certificate a key gets, whatever it got before."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from functions.handlers import http_api
from pki.fingerprint import certificate_id
from tests.support.aws_faults import Faults
from tests.support.aws_fleet import Candidate, assert_enrolled
from tests.support.aws_functions import ENROLL, UPLOAD, api_event, each_issuer_that_signs, issued, life_of, pem


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


def test_the_one_call_that_must_not_be_repeated_has_a_client_of_its_own(deploy, breakable_aws):
    """The SDK repeats a call whose reply was lost, and Amazon's CA would sign a second certificate."""
    fleet = deploy("aws")
    candidate = fleet.allow(Candidate())
    faults, once = Faults(), breakable_aws("iot")
    faults.watch(once)
    deployment = replace(fleet.deployment(), iot_once=once)
    assert http_api.answer(api_event(f"POST {ENROLL}", candidate.csr), deployment)["statusCode"] == 200
    assert faults.calls == ["CreateCertificateFromCsr"]
