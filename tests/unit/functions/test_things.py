"""Things belong to the account: ours have the fleet's mark, and one that is not ours is never used.

Two deployments in one account stand for two fleets; a thing without a mark for another application, or for the first
release of this project.
"""

import time
from contextlib import suppress

import pytest

from functions.lease import LEASE_SECONDS
from ledger import THING_MARK
from pki.fingerprint import certificate_id
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate, assert_enrolled
from tests.support.aws_functions import UPLOAD, each_issuer, each_issuer_that_signs, issued, life_of, pem


def attributes_of(fleet, name):
    return fleet.iot.describe_thing(thingName=name).get("attributes", {})


def unmark(fleet, name):
    """Make of a thing what the first release made."""
    fleet.iot.update_thing(thingName=name, attributePayload={"attributes": {}, "merge": False})


def renew(fleet, candidate, certificate, faults=None):
    return fleet.enroll(candidate, faults, later=int(life_of(certificate) * 0.7))


def arn_of(fleet, certificate):
    described = fleet.iot.describe_certificate(certificateId=certificate_id(certificate))
    return described["certificateDescription"]["certificateArn"]


def mark(fleet, name, owner):
    """What the operator is told to type."""
    fleet.iot.update_thing(thingName=name, attributePayload={"attributes": {THING_MARK: owner}, "merge": True})


def take_another_key(candidate):
    """Another device of the same name."""
    return Candidate(name=candidate.name)


@pytest.fixture
def other_fleet(deploy, issuer):
    """Another fleet in the same account."""
    return deploy(issuer, fleet="acme")


def finish(fleet, authority, candidate):
    """A device's certificate, which with a CA elsewhere comes by upload."""
    reply = fleet.enroll(candidate)
    if fleet.issuer == "external":
        assert reply.status == 202, reply.text
        assert fleet.post(UPLOAD, pem(authority.sign(candidate))).status == 200
        reply = fleet.enroll(candidate)
    return issued(reply)


@each_issuer
def test_a_new_device_s_thing_has_the_mark_and_a_second_fleet_is_refused_the_name(fleet, other_fleet, authority):
    candidate = fleet.invite(Candidate())
    certificate = finish(fleet, authority, candidate)
    assert attributes_of(fleet, candidate.name) == {THING_MARK: "zymkey"}

    rival = other_fleet.invite(take_another_key(candidate))
    before = fleet.everything()
    for _ in range(2):
        reply = other_fleet.enroll(rival)
        assert (reply.status, f"a thing '{candidate.name}' already" in reply.text) == (409, True)
        assert "zymkey-fleet history" in reply.text
        assert "'acme'" in reply.text
        assert "'zymkey'" not in reply.text, "the device does not learn whose it is"
    assert fleet.everything() == before, "a refusal makes nothing"
    assert other_fleet.ledger.certificates(candidate.name) == []
    (event,) = [each for each in other_fleet.ledger.history(candidate.name) if each.what.startswith("refused")]
    assert "of the fleet 'zymkey'" in event.detail
    detach, delete = (f"aws iot {each}-thing" for each in ("detach", "delete"))
    assert event.detail.index(detach) < event.detail.index(f"{delete} --thing-name={candidate.name}")
    assert_enrolled(fleet, candidate, certificate)

    # What the operator was told to type.
    fleet.iot.update_thing(
        thingName=candidate.name, attributePayload={"attributes": {THING_MARK: "acme"}, "merge": True}
    )
    finish(other_fleet, authority, rival)


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_a_certificate_that_is_brought_for_a_name_of_another_fleet_is_refused_and_never_registered(
    fleet, other_fleet, authority
):
    candidate = fleet.allow(Candidate())
    finish(fleet, authority, candidate)
    rival = other_fleet.allow(take_another_key(candidate))
    certificate = authority.sign(rival)
    assert other_fleet.post(UPLOAD, pem(certificate)).status == 409
    assert other_fleet.status_of(certificate) is None


@each_issuer_that_signs
def test_a_thing_of_another_application_is_refused_and_marked_by_the_operator_it_is_used(fleet):
    candidate = fleet.invite(Candidate())
    fleet.iot.create_thing(thingName=candidate.name)
    assert fleet.enroll(candidate).status == 409
    (event,) = [each for each in fleet.ledger.history(candidate.name) if each.what.startswith("refused")]
    assert f'\'{{"attributes": {{"{THING_MARK}": "zymkey"}}, "merge": true}}\'' in event.detail
    fleet.iot.update_thing(
        thingName=candidate.name, attributePayload={"attributes": {THING_MARK: "zymkey"}, "merge": True}
    )
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate)))


@each_issuer_that_signs
def test_two_fleets_that_create_the_same_thing_at_once_one_gets_it(fleet, other_fleet):
    first = fleet.invite(Candidate())
    second = other_fleet.invite(take_another_key(first))
    won = []
    faults = Faults(operation="CreateThing", kind="meanwhile", meanwhile=lambda: won.append(other_fleet.enroll(second)))
    assert fleet.enroll(first, faults).status == 409
    assert_enrolled(other_fleet, second, issued(won[0]))


@each_issuer_that_signs
def test_a_thing_with_other_attributes_stays_as_it_is_and_a_renewal_asks_once(fleet):
    candidate = fleet.invite(Candidate())
    first = issued(fleet.enroll(candidate))
    fleet.iot.update_thing(thingName=candidate.name, attributePayload={"attributes": {"room": "7"}, "merge": True})
    faults = Faults()
    assert issued(renew(fleet, candidate, first, faults)) != first
    about_things = [each for each in faults.calls if each.endswith(("Thing", "Things", "Principals"))]
    assert about_things == ["DescribeThing"]
    assert attributes_of(fleet, candidate.name) == {THING_MARK: "zymkey", "room": "7"}


@each_issuer_that_signs
def test_a_thing_that_somebody_has_deleted_is_made_again(fleet):
    candidate = fleet.invite(Candidate())
    first = issued(fleet.enroll(candidate))
    arn = fleet.iot.describe_certificate(certificateId=certificate_id(first))["certificateDescription"][
        "certificateArn"
    ]
    fleet.iot.detach_thing_principal(thingName=candidate.name, principal=arn)
    fleet.iot.delete_thing(thingName=candidate.name)
    second = issued(renew(fleet, candidate, first))
    assert attributes_of(fleet, candidate.name) == {THING_MARK: "zymkey"}
    assert_enrolled(fleet, candidate, second)


# What the first release left


@each_issuer_that_signs
def test_a_device_of_the_first_release_renews_and_its_thing_gets_the_mark_unless_it_changed_meanwhile(
    fleet, monkeypatch
):
    candidate = fleet.invite(Candidate())
    first = issued(fleet.enroll(candidate))
    fleet.iot.update_thing(thingName=candidate.name, attributePayload={"attributes": {"room": "7"}, "merge": False})
    sent = []
    update = fleet.iot.update_thing

    def watched(**request):
        sent.append(request)
        return update(**request)

    with monkeypatch.context() as patch:
        patch.setattr(fleet.iot, "update_thing", watched)
        issued(renew(fleet, candidate, first))
    assert attributes_of(fleet, candidate.name) == {THING_MARK: "zymkey", "room": "7"}
    (request,) = sent
    assert request["attributePayload"]["merge"] is True
    assert request["expectedVersion"] >= 1


@each_issuer_that_signs
def test_two_fleets_of_the_first_release_with_one_thing_both_renew_as_before(fleet, other_fleet):
    devices = []
    for each in (fleet, other_fleet):
        candidate = each.invite(Candidate() if not devices else take_another_key(devices[0][1]))
        if devices:
            each.iot.update_thing(
                thingName=candidate.name, attributePayload={"attributes": {THING_MARK: "acme"}, "merge": False}
            )
        devices.append((each, candidate, issued(each.enroll(candidate))))
    unmark(fleet, devices[0][1].name)
    for each, candidate, certificate in devices:
        assert issued(renew(each, candidate, certificate)) != certificate
    assert attributes_of(fleet, devices[0][1].name) == {THING_MARK: "zymkey"}


@each_issuer_that_signs
@pytest.mark.parametrize("operation", ["AttachThingPrincipal", "AttachPolicy", "TransactWriteItems"])
def test_an_enrollment_that_was_interrupted_in_the_first_release_goes_on(fleet, operation):
    """It recorded the certificate, registered it, and made the thing, without a mark."""
    candidate = fleet.invite(Candidate())
    last = Faults()
    fleet.enroll(fleet.invite(Candidate()), last)
    faults = Faults(position=len(last.calls) - 1 if operation == "TransactWriteItems" else None, kind="killed")
    faults.operation = None if operation == "TransactWriteItems" else operation
    with suppress(Killed):
        fleet.enroll(candidate, faults)
    assert faults.fired
    unmark(fleet, candidate.name)
    certificate = issued(fleet.enroll(candidate, later=LEASE_SECONDS + 1))
    assert_enrolled(fleet, candidate, certificate)
    if operation != "TransactWriteItems":
        assert attributes_of(fleet, candidate.name) == {THING_MARK: "zymkey"}


@each_issuer_that_signs
def test_an_interrupted_enrollment_does_not_take_a_thing_that_somebody_uses(fleet, other_fleet):
    candidate = fleet.invite(Candidate())
    faults = Faults(operation="AttachThingPrincipal", kind="refused")
    assert fleet.enroll(candidate, faults).status == 503
    stranger = issued(other_fleet.enroll(other_fleet.invite(Candidate())))
    arn = fleet.iot.describe_certificate(certificateId=certificate_id(stranger))["certificateDescription"][
        "certificateArn"
    ]
    unmark(fleet, candidate.name)
    fleet.iot.attach_thing_principal(thingName=candidate.name, principal=arn)
    assert fleet.enroll(candidate).status == 409
    assert set(fleet.certificates_of(candidate.name)) == {certificate_id(stranger)}


@each_issuer_that_signs
def test_a_name_that_was_removed_in_the_first_release_can_be_invited_again(fleet):
    candidate = fleet.invite(Candidate())
    first = certificate_id(issued(fleet.enroll(candidate)))
    now = int(time.time())
    fleet.ledger.block(candidate.name, by="test", now=now)
    fleet.iot.update_certificate(certificateId=first, newStatus="INACTIVE")
    fleet.ledger.deactivated(candidate.name, first, by="test", now=now)
    fleet.ledger.remove(candidate.name, by="test", now=now)
    unmark(fleet, candidate.name)
    successor = fleet.invite(take_another_key(candidate))
    issued(fleet.enroll(successor))
    assert attributes_of(fleet, candidate.name) == {THING_MARK: "zymkey"}


@each_issuer_that_signs
def test_a_thing_without_a_place_for_the_mark_keeps_no_device_from_its_renewal(fleet, monkeypatch):
    candidate = fleet.invite(Candidate())
    first = issued(fleet.enroll(candidate))
    unmark(fleet, candidate.name)
    full = fleet.iot.exceptions.InvalidRequestException({"Error": {}}, "UpdateThing")

    def refuse(**_):
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(fleet.iot, "update_thing", refuse)
        assert issued(renew(fleet, candidate, first)) != first
    assert attributes_of(fleet, candidate.name) == {}


# The attachment


@each_issuer_that_signs
def test_a_certificate_is_attached_to_its_thing_alone_and_as_before_where_aws_iot_has_it_attached(fleet, monkeypatch):
    asked = []
    attach = fleet.iot.attach_thing_principal

    def is_attached_already(**request):
        asked.append(request.get("thingPrincipalType"))
        if "thingPrincipalType" in request:
            raise fleet.iot.exceptions.InvalidRequestException({"Error": {}}, "AttachThingPrincipal")
        return attach(**request)

    candidate = fleet.invite(Candidate())
    with monkeypatch.context() as patch:
        patch.setattr(fleet.iot, "attach_thing_principal", is_attached_already)
        assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate)))
    assert asked == ["EXCLUSIVE_THING", None]


# While a CSR waits for a CA elsewhere


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_while_a_csr_waits_its_thing_is_looked_for_once_and_not_made(fleet, authority):
    candidate = fleet.invite(Candidate())
    before = fleet.everything()
    about_things = []
    for _ in range(3):
        faults = Faults()
        assert fleet.enroll(candidate, faults).status == 202
        about_things.append([each for each in faults.calls if "Thing" in each])
    assert about_things == [["DescribeThing"], [], []]
    assert fleet.everything() == before
    certificate = authority.sign(candidate)
    assert fleet.post(UPLOAD, pem(certificate)).status == 200
    assert attributes_of(fleet, candidate.name) == {THING_MARK: "zymkey"}
    assert_enrolled(fleet, candidate, certificate)


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_a_name_that_another_fleet_takes_while_a_csr_waits_is_refused_at_the_upload(fleet, other_fleet, authority):
    candidate = fleet.invite(Candidate())
    assert fleet.enroll(candidate).status == 202
    finish(other_fleet, authority, other_fleet.invite(take_another_key(candidate)))
    certificate = authority.sign(candidate)
    assert fleet.post(UPLOAD, pem(certificate)).status == 409
    assert fleet.status_of(certificate) is None
