"""Finished certificates of a CA elsewhere: which are taken, which are refused and why, what repairs a failure."""

import datetime as dt
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from functions.superseded import DAY
from pki.certificates import ca_certificate
from pki.fingerprint import certificate_id
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate, assert_enrolled
from tests.support.aws_functions import UPLOAD, issued, pem
from tests.support.der import UTF8, changed, name

pytestmark = pytest.mark.parametrize("issuer", ["external"], indirect=True)

NOW = dt.datetime.now(dt.UTC)


@pytest.mark.parametrize("with_chain", [False, True])
def test_a_token_binds_the_key_of_a_finished_certificate(fleet, authority, with_chain):
    candidate = fleet.invite(Candidate())
    certificate = authority.sign(candidate)
    chain = [authority.certificate] if with_chain else []
    body = b"subject=/CN=whatever\n" + pem(certificate, *chain)
    reply = fleet.post(UPLOAD, body, credentials=(candidate.name, candidate.token))
    assert reply.json == {
        "device": candidate.name,
        "certificateId": certificate_id(certificate),
        "notAfter": int(certificate.not_valid_after_utc.timestamp()),
    }
    assert_enrolled(fleet, candidate, certificate)


OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


def same_name_other_key(authority):
    """A CA that was made anew under the old name: the trap that looks like a mistake of ours."""
    return ca_certificate(signer=OTHER_KEY, common_name="our CA", organization="Example", validity_years=1, now=NOW)


def a_day_too_early(authority):
    """A day before the CA's second minute: what is valid for a day from then on ends soon after the CA's life began,
    which was some minutes ago."""
    return authority.certificate.not_valid_before_utc + dt.timedelta(minutes=1) - dt.timedelta(days=1)


WRONG = {
    "another name": (lambda a, c: pem(a.sign(c, device="somebody-else")), "common name"),
    "another CA of the same name": (
        lambda a, c: pem(a.sign(c, signer=OTHER_KEY, ca=same_name_other_key(a))),
        "another key's",
    ),
    "expired": (lambda a, c: pem(a.sign(c, validity_days=1, now=a_day_too_early(a))), "expired"),
    "a CA": (lambda a, c: pem(a.certificate), "only CA certificates"),
    "no PEM": (lambda a, c: b"hello", "not a certificate in PEM"),
    "nothing": (lambda a, c: b"", "empty"),
    "two leaves": (lambda a, c: pem(a.sign(c), a.sign(c)), "2 device certificates"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_certificate_is_refused_with_its_reason_and_without_a_trace(fleet, authority, case):
    make, sentence = WRONG[case]
    candidate = fleet.allow(Candidate())
    before = fleet.everything()
    reply = fleet.post(UPLOAD, make(authority, candidate))
    assert (reply.status, sentence in reply.text) == (400, True), reply.text
    assert fleet.everything() == before
    assert fleet.ledger.device(candidate.name).state == "invited"


def test_a_certificate_for_a_key_that_may_not_enroll_is_refused(fleet, authority):
    candidate = fleet.allow(Candidate())
    stranger = Candidate(name=candidate.name)
    before = fleet.everything()
    assert fleet.post(UPLOAD, pem(authority.sign(stranger))).status == 401
    assert fleet.everything() == before


def test_a_certificate_that_was_registered_before_is_not_brought_back(fleet, authority):
    candidate = fleet.allow(Candidate())
    first, second = authority.sign(candidate), authority.sign(candidate)
    assert fleet.post(UPLOAD, pem(first)).status == 200

    again = fleet.post(UPLOAD, pem(first))
    assert (again.status, "already registered" in again.text) == (409, True)
    assert_enrolled(fleet, candidate, first)

    assert fleet.post(UPLOAD, pem(second), later=DAY).status == 200
    again_later = fleet.post(UPLOAD, pem(first), later=DAY)
    assert again_later == again, "what has become of it since is not a stranger's to know"
    assert fleet.ledger.device(candidate.name).certificate_id == certificate_id(second)


def test_an_older_certificate_does_not_take_the_place_of_a_device_s_own(fleet, authority):
    """Whoever has seen it anywhere could send it: the device would be cut off when its own is switched off."""
    candidate = fleet.allow(Candidate())
    older = authority.backdated(authority.sign(candidate), NOW - dt.timedelta(days=2))
    newer = authority.sign(candidate)
    assert fleet.post(UPLOAD, pem(newer)).status == 200
    before = fleet.ledger.device(candidate.name)

    reply = fleet.post(UPLOAD, pem(older))
    assert (reply.status, "older than the one that its device has" in reply.text) == (400, True)
    assert_enrolled(fleet, candidate, newer)
    assert fleet.ledger.device(candidate.name) == before

    fleet.ledger.deactivated(candidate.name, certificate_id(newer), by="test", now=1)
    assert fleet.post(UPLOAD, pem(older)).status == 200, "a certificate that is switched off keeps no place"


def test_a_ca_may_let_a_certificate_begin_at_the_beginning_of_the_day(fleet, authority):
    candidate = fleet.allow(Candidate())
    assert fleet.post(UPLOAD, pem(authority.sign(candidate))).status == 200
    midnight = authority.backdated(authority.sign(candidate), NOW - dt.timedelta(hours=20))
    assert fleet.post(UPLOAD, pem(midnight)).status == 200
    assert fleet.ledger.device(candidate.name).certificate_id == certificate_id(midnight)


@pytest.mark.parametrize("what", ["a certificate", "an older certificate", "a certificate of a blocked device"])
def test_a_stranger_with_a_device_s_certificate_changes_nothing(fleet, authority, what):
    candidate = fleet.allow(Candidate())
    certificate = authority.sign(candidate)
    fleet.post(UPLOAD, pem(certificate))
    if "older" in what:
        certificate = authority.backdated(certificate, NOW - dt.timedelta(days=2))
    if "blocked" in what:
        fleet.ledger.block(candidate.name, by="test", now=1)
    before = fleet.ledger.device(candidate.name), fleet.certificates_of(candidate.name), fleet.everything()
    for credentials in (None, (candidate.name, "x"), ("somebody-else", "x")):
        faults = Faults()
        reply = fleet.post(UPLOAD, pem(certificate), credentials=credentials, faults=faults)
        assert 400 <= reply.status < 500
        assert set(faults.calls) == {"GetItem"}
    assert before == (fleet.ledger.device(candidate.name), fleet.certificates_of(candidate.name), fleet.everything())


def test_a_refusal_is_one_sentence_however_long_what_it_quotes_is(fleet, authority):
    key = Candidate(name="x" * 64)
    forged = changed(authority.sign(key), OTHER_KEY, issuer=name(("O", UTF8, b"x" * 20_000)))
    reply = fleet.post(UPLOAD, forged)
    assert (reply.status, len(reply.text) < 1100) == (400, True)


def test_a_certificate_takes_the_place_of_one_that_was_not_completed(fleet, authority):
    candidate = fleet.allow(Candidate())
    first, second = authority.sign(candidate), authority.sign(candidate)
    assert fleet.post(UPLOAD, pem(first), faults=Faults(operation="RegisterCertificate")).status == 503
    assert fleet.post(UPLOAD, pem(second)).status == 200
    assert_enrolled(fleet, candidate, second)
    assert fleet.ledger.certificate(candidate.name, certificate_id(first)).state == "abandoned"


# Three write to the ledger: the lease is taken, the certificate recorded, and made current.
CHANGES = ["UpdateItem", "CreateThing", "TransactWriteItems", "RegisterCertificate"]
CHANGES += ["AttachThingPrincipal", "AttachPolicy", "TransactWriteItems"]


@pytest.mark.parametrize("kind", ["refused", "lost", "killed"])
def test_an_upload_that_breaks_at_any_call_is_repaired_by_the_next_request(fleet, authority, kind):
    clean = Faults()
    candidate = fleet.allow(Candidate())
    fleet.post(UPLOAD, pem(authority.sign(candidate)), faults=clean)
    assert fleet.ledger.device(candidate.name).state == "enrolled"
    assert [call for call in clean.calls if call not in ("GetItem", "DescribeCertificate")] == CHANGES
    for position in range(len(clean.calls)):
        candidate = fleet.allow(Candidate())
        body = pem(certificate := authority.sign(candidate))
        faults = Faults(position=position, kind=kind)
        with suppress(Killed):
            assert fleet.post(UPLOAD, body, faults=faults).status == 503
        assert faults.fired
        # By the operator's next try, or by the device that asks meanwhile: whoever comes first.
        repaired = fleet.post(UPLOAD, body, later=30)
        assert repaired.status in (200, 409), f"{kind} at {faults.calls[position]}: {repaired.text}"
        assert issued(fleet.enroll(candidate, later=30)) == certificate
        assert_enrolled(fleet, candidate, certificate)


def test_a_certificate_that_the_operator_has_switched_off_meanwhile_stays_off(fleet, authority):
    candidate = fleet.allow(Candidate())
    body = pem(certificate := authority.sign(candidate))
    assert fleet.post(UPLOAD, body, faults=Faults(operation="AttachThingPrincipal")).status == 503
    fleet.iot.update_certificate(certificateId=certificate_id(certificate), newStatus="INACTIVE")
    watched = Faults()
    reply = fleet.post(UPLOAD, body, faults=watched)
    assert (reply.status, "INACTIVE in AWS IoT" in reply.text) == (403, True)
    # A lease that cannot be given back expires, and is not what the answer is about.
    assert watched.calls[-1] == "UpdateItem"
    again = fleet.post(UPLOAD, body, faults=Faults(position=len(watched.calls) - 1))
    assert again == reply
    assert fleet.status_of(certificate) == "INACTIVE"
    assert fleet.policies_of(certificate_id(certificate)) == []


def test_a_stranger_of_another_ca_may_not_wait_for_approval(deploy, issuer, authority):
    fleet = deploy(issuer, uninvited="approve")
    stranger = Candidate()
    forged = authority.sign(stranger, signer=OTHER_KEY, ca=same_name_other_key(authority))
    assert fleet.post(UPLOAD, pem(forged)).status == 400
    assert fleet.ledger.requests() == []
    assert fleet.post(UPLOAD, pem(authority.sign(stranger))).status == 202
    assert [each.fingerprint for each in fleet.ledger.requests()] == [stranger.fingerprint]


def test_a_private_key_that_is_sent_with_its_certificate_is_refused(fleet, authority):
    candidate = fleet.allow(Candidate())
    key = candidate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    reply = fleet.post(UPLOAD, key + pem(authority.sign(candidate)))
    assert (reply.status, "never send it" in reply.text) == (400, True)


def test_a_certificate_that_aws_iot_itself_refuses_is_no_failure_of_the_service(fleet, authority, monkeypatch):
    candidate = fleet.allow(Candidate())
    refusal = fleet.iot.exceptions.CertificateValidationException({"Error": {}}, "RegisterCertificate")

    def refuse(**_):
        raise refusal

    with monkeypatch.context() as patch:
        patch.setattr(fleet.iot, "register_certificate", refuse)
        reply = fleet.post(UPLOAD, pem(authority.sign(candidate)))
    assert (reply.status, "does not take this certificate" in reply.text) == (400, True)


def test_aws_iot_is_told_which_ca_issued_it_since_several_may_have_the_same_name(fleet, authority, monkeypatch):
    candidate = fleet.allow(Candidate())
    told = []
    register = fleet.iot.register_certificate
    with monkeypatch.context() as patch:
        patch.setattr(
            fleet.iot, "register_certificate", lambda **request: (told.append(request), register(**request))[1]
        )
        certificate = authority.sign(candidate)
        assert fleet.post(UPLOAD, pem(certificate)).status == 200
    assert told == [
        {
            "certificatePem": pem(certificate).decode(),
            "caCertificatePem": pem(authority.certificate).decode(),
            "status": "ACTIVE",
        }
    ]
