"""Another key takes over a name: it gets the thing as it is, and the old key gets nothing, whenever it asks."""

import time

import pytest

from functions.first_connection import admit
from ledger import CertificateState, ThingProfile
from ledger.token import token_hash
from pki.fingerprint import certificate_id
from tests.support.aws_faults import Faults
from tests.support.aws_fleet import Candidate
from tests.support.aws_functions import UPLOAD, issued, life_of, pem
from tests.support.role import FIRST_CONNECTION

BOTH = pytest.mark.parametrize("issuer", ["aws", "kms"], indirect=True)
EXTERNAL = pytest.mark.parametrize("issuer", ["external"], indirect=True)


def replace(fleet, old):
    """What ``zymkey-fleet replace`` does; returns who may come in place of the old key."""
    new, now = Candidate(name=old.name), int(time.time())
    fleet.ledger.replace_by_token(
        old.name, token_hash=token_hash(new.token), token_expires=now + 10**9, by="test", now=now
    )
    for each in fleet.ledger.certificates(old.name):
        try:
            fleet.iot.update_certificate(certificateId=each.certificate_id, newStatus="INACTIVE")
        except fleet.iot.exceptions.ResourceNotFoundException:
            continue
    return new


def assert_taken_over(fleet, name, certificate):
    """One certificate works, the new one; the ledger and AWS IoT agree about all others."""
    current = certificate_id(certificate)
    assert fleet.ledger.device(name).certificate_id == current
    states = {each.certificate_id: each.state for each in fleet.ledger.certificates(name)}
    assert states.pop(current) is CertificateState.ACTIVE
    assert set(states.values()) <= {CertificateState.DEACTIVATED}
    attached = fleet.certificates_of(name)
    assert attached.pop(current) == "ACTIVE"
    assert set(attached.values()) <= {"INACTIVE"}


# Of an enrollment of each issuer: before, between and after what AWS is asked for.
POSITIONS = [3, 8, *(pytest.param(position, marks=pytest.mark.slow) for position in (0, 1, 2, 4, 5, 6, 7, 9))]


@BOTH
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("renews", [False, True], ids=["enrolls", "renews"])
def test_a_key_that_is_replaced_while_it_asks_gets_nothing_that_works(fleet, renews, position):
    old, later = fleet.allow(Candidate()), 0
    if renews:
        later = int(life_of(issued(fleet.enroll(old, with_token=False))) * 0.7)
    before = fleet.everything()
    successors = []
    faults = Faults(position=position, kind="meanwhile", meanwhile=lambda: successors.append(replace(fleet, old)))

    reply = fleet.enroll(old, faults, later=later, with_token=False)

    assert faults.fired
    assert reply.status in (202, 403), reply.text
    made = fleet.everything() - before - {old.name}
    statuses = {fleet.iot.describe_certificate(certificateId=each)["certificateDescription"]["status"] for each in made}
    assert statuses <= {"INACTIVE"}
    for with_token in (True, False):
        again = fleet.enroll(old, later=later, with_token=with_token)
        assert (again.status, "is blocked" in again.text) == (403, True)
    (new,) = successors
    assert_taken_over(fleet, old.name, issued(fleet.enroll(new, later=later)))


@BOTH
def test_the_new_key_gets_the_thing_as_it_is(deploy, aws, issuer):
    iot = aws("iot")
    for group in ("plant", "hall"):
        iot.create_thing_group(thingGroupName=f"{group}-{issuer}")
    things = {"groups": [f"plant-{issuer}"], "attributes": {"site": "berlin"}, "allowedGroups": [f"hall-{issuer}"]}
    fleet = deploy(issuer, things=things)
    profile = ThingProfile(attributes={"hall": "7"}, groups=(f"hall-{issuer}",))
    old = fleet.invite(Candidate(), profile=profile)
    issued(fleet.enroll(old))
    # What the operator, or another tool, has changed since.
    iot.remove_thing_from_thing_group(thingName=old.name, thingGroupName=f"plant-{issuer}")
    iot.update_thing(thingName=old.name, attributePayload={"attributes": {"hall": "8"}, "merge": True})
    before = iot.describe_thing(thingName=old.name)

    issued(fleet.enroll(replace(fleet, old)))

    after = iot.describe_thing(thingName=old.name)
    assert {name: after[name] for name in ("thingId", "attributes")} == {
        name: before[name] for name in ("thingId", "attributes")
    }
    groups = iot.list_thing_groups_for_thing(thingName=old.name)["thingGroups"]
    assert {each["groupName"] for each in groups} == {f"hall-{issuer}"}


def test_a_key_that_replaces_one_which_never_came_gets_what_that_would_have_got(deploy, aws, issuer):
    aws("iot").create_thing_group(thingGroupName="never-came")
    fleet = deploy(issuer, things={"groups": ["never-came"]})
    new = replace(fleet, fleet.allow(Candidate()))
    issued(fleet.enroll(new))
    groups = aws("iot").list_thing_groups_for_thing(thingName=new.name)["thingGroups"]
    assert [each["groupName"] for each in groups] == ["never-came"]


@pytest.mark.parametrize("mark", [{}, {"zymkey-fleet": "acme"}], ids=["no mark", "another fleet's mark"])
def test_a_thing_that_the_old_key_used_is_not_refused_to_the_new_one(fleet, mark):
    """The first release set no mark, and two fleets could use one thing then."""
    old = fleet.invite(Candidate())
    issued(fleet.enroll(old))
    fleet.iot.update_thing(thingName=old.name, attributePayload={"attributes": mark, "merge": False})
    new = replace(fleet, old)
    assert_taken_over(fleet, old.name, issued(fleet.enroll(new)))


@EXTERNAL
def test_a_certificate_of_a_replaced_key_is_refused_however_it_comes(fleet, authority):
    old = fleet.allow(Candidate())
    first, second = authority.sign(old), authority.sign(old)
    assert fleet.post(UPLOAD, pem(first)).status == 200
    new = replace(fleet, old)
    before = fleet.everything()
    for credentials in (None, (old.name, new.token), ("somebody-else", "x")):
        for certificate in (first, second):
            faults = Faults()
            reply = fleet.post(UPLOAD, pem(certificate), credentials=credentials, faults=faults)
            assert (reply.status, "is blocked" in reply.text, set(faults.calls)) == (403, True, {"GetItem"})
    assert fleet.everything() == before
    assert fleet.post(UPLOAD, pem(authority.sign(new)), credentials=(new.name, new.token)).status == 200


@EXTERNAL
@pytest.mark.parametrize("admission", ["known-keys", "any"])
def test_a_certificate_of_a_replaced_key_stays_inactive_at_its_first_connection(fleet, authority, admission):
    old = fleet.allow(Candidate())
    replace(fleet, old)
    certificate = authority.sign(old)
    reply = fleet.iot.register_certificate(
        certificatePem=pem(certificate).decode(),
        caCertificatePem=pem(authority.certificate).decode(),
        status="INACTIVE",
    )
    fleet.iot.update_certificate(certificateId=reply["certificateId"], newStatus="PENDING_ACTIVATION")
    told = admit(
        {"certificateId": reply["certificateId"]},
        admission=admission,
        now=int(time.time()),
        deployment=fleet.deployment(handler=FIRST_CONNECTION),
    )
    assert "is blocked" in told
    assert fleet.status_of(certificate) == "PENDING_ACTIVATION"
    assert fleet.is_powerless(reply["certificateId"])


def test_the_token_of_a_replacement_lets_a_blocked_key_in_no_more_than_any_other(fleet):
    old = fleet.invite(Candidate())
    issued(fleet.enroll(old))
    new = replace(fleet, old)
    old.token = new.token
    assert fleet.enroll(old).status == 403
    assert_taken_over(fleet, old.name, issued(fleet.enroll(new)))
    thief = Candidate(name=new.name, token=new.token)
    assert fleet.enroll(thief).status == 401
