"""Things get the type, attributes, groups and billing group of the settings, and what the operator gave to a device."""

from ledger import THING_MARK, ThingProfile
from tests.support.aws_faults import Faults
from tests.support.aws_fleet import Candidate, assert_enrolled
from tests.support.aws_functions import UPLOAD, each_issuer, each_issuer_that_signs, issued, life_of, pem


def attributes_of(fleet, name):
    return fleet.iot.describe_thing(thingName=name).get("attributes", {})


def groups_of(fleet, name):
    groups = fleet.iot.list_thing_groups_for_thing(thingName=name)["thingGroups"]
    return {each["groupName"] for each in groups}


def renew(fleet, candidate, certificate, faults=None):
    return fleet.enroll(candidate, faults, later=int(life_of(certificate) * 0.7))


def finish(fleet, authority, candidate):
    """A device's certificate, which with a CA elsewhere comes by upload."""
    reply = fleet.enroll(candidate)
    if fleet.issuer == "external":
        assert reply.status == 202, reply.text
        assert fleet.post(UPLOAD, pem(authority.sign(candidate))).status == 200
        reply = fleet.enroll(candidate)
    return issued(reply)


# What every new thing gets


@each_issuer
def test_a_new_thing_gets_the_type_attributes_and_groups_of_the_settings(deploy, issuer, authority, aws):
    aws("iot").create_thing_type(thingTypeName="sensor")
    for group in ("plant", "hall-7"):
        aws("iot").create_thing_group(thingGroupName=group)
    things = {"type": "sensor", "attributes": {"site": "berlin"}, "groups": ["plant", "hall-7"], "billingGroup": "b"}
    fleet = deploy(issuer, things=things)
    candidate = fleet.invite(Candidate())
    finish(fleet, authority, candidate)
    thing = fleet.iot.describe_thing(thingName=candidate.name)
    assert (thing["thingTypeName"], thing["attributes"]) == ("sensor", {"site": "berlin", THING_MARK: "zymkey"})
    assert groups_of(fleet, candidate.name) == {"plant", "hall-7"}


@each_issuer
def test_a_type_and_a_group_that_are_gone_keep_no_device_from_its_certificate(deploy, issuer, authority):
    fleet = deploy(issuer, things={"type": "gone", "attributes": {"site": "berlin"}, "groups": ["nowhere"]})
    candidate = fleet.invite(Candidate())
    certificate = finish(fleet, authority, candidate)
    assert_enrolled(fleet, candidate, certificate)
    assert attributes_of(fleet, candidate.name) == {THING_MARK: "zymkey"}
    said = {each.what for each in fleet.ledger.history(candidate.name)}
    assert {"thing without type, attributes and billing group", "thing not in its group nowhere"} <= said


@each_issuer_that_signs
def test_an_enrollment_into_a_group_that_breaks_is_repaired_and_a_renewal_calls_no_group(deploy, issuer, aws):
    aws("iot").create_thing_group(thingGroupName="plant")
    fleet = deploy(issuer, things={"groups": ["plant"]})
    for kind in ("refused", "lost"):
        candidate = fleet.invite(Candidate())
        assert fleet.enroll(candidate, Faults(operation="AddThingToThingGroup", kind=kind)).status == 503
        certificate = issued(fleet.enroll(candidate))
        assert_enrolled(fleet, candidate, certificate)
    faults = Faults()
    issued(renew(fleet, candidate, certificate, faults))
    assert "AddThingToThingGroup" not in faults.calls


# What the operator gave to one device


@each_issuer
def test_a_device_s_own_attributes_and_groups_come_on_top_of_the_settings(deploy, issuer, authority, aws):
    for group in ("every", "plant", "hall-7"):
        aws("iot").create_thing_group(thingGroupName=group)
    things = {"attributes": {"site": "berlin"}, "groups": ["every"], "allowedGroups": ["plant", "hall-7"]}
    fleet = deploy(issuer, things=things)
    own = ThingProfile(attributes={"site": "paris", "hall": "7"}, groups=("plant",))
    candidate = fleet.invite(Candidate(), profile=own)
    other = fleet.invite(Candidate())
    for each in (candidate, other):
        finish(fleet, authority, each)
    assert attributes_of(fleet, candidate.name) == {"site": "paris", "hall": "7", THING_MARK: "zymkey"}
    assert groups_of(fleet, candidate.name) == {"every", "plant"}
    assert attributes_of(fleet, other.name) == {"site": "berlin", THING_MARK: "zymkey"}
    assert groups_of(fleet, other.name) == {"every"}


@each_issuer
def test_a_thing_that_a_removed_device_left_gets_the_next_one_s_attributes_too(fleet, authority):
    fleet.iot.create_thing(
        thingName=(candidate := Candidate()).name,
        attributePayload={"attributes": {THING_MARK: "zymkey", "site": "berlin", "room": "3"}},
    )
    fleet.invite(candidate, profile=ThingProfile(attributes={"site": "paris"}))
    certificate = finish(fleet, authority, candidate)
    assert attributes_of(fleet, candidate.name) == {THING_MARK: "zymkey", "site": "paris", "room": "3"}
    assert_enrolled(fleet, candidate, certificate)


@each_issuer_that_signs
def test_attributes_that_a_thing_has_no_room_for_keep_no_device_from_its_certificate(fleet, monkeypatch):
    candidate = fleet.invite(Candidate(), profile=ThingProfile(attributes={"site": "paris"}))
    fleet.iot.create_thing(thingName=candidate.name, attributePayload={"attributes": {THING_MARK: "zymkey"}})

    def refuse(**_):
        raise fleet.iot.exceptions.InvalidRequestException({"Error": {}}, "UpdateThing")

    with monkeypatch.context() as patch:
        patch.setattr(fleet.iot, "update_thing", refuse)
        assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate)))
    assert "thing without its own attributes" in {each.what for each in fleet.ledger.history(candidate.name)}


@each_issuer_that_signs
def test_a_group_that_the_settings_list_no_more_or_that_is_gone_keeps_no_device_from_its_certificate(deploy, issuer):
    """The role may use the groups of the settings alone: another one is not even asked for."""
    fleet = deploy(issuer, things={"allowedGroups": ["gone"]})
    candidate = fleet.invite(Candidate(), profile=ThingProfile(groups=("not-listed", "gone")))
    faults = Faults()
    assert_enrolled(fleet, candidate, issued(fleet.enroll(candidate, faults)))
    assert faults.calls.count("AddThingToThingGroup") == 1
    said = {each.what: each.detail for each in fleet.ledger.history(candidate.name)}
    assert said["thing not in its group not-listed"] == "things.allowedGroups does not list it"
    assert "thing not in its group gone" in said


@each_issuer_that_signs
def test_no_profile_can_take_the_place_of_the_mark(fleet):
    candidate = fleet.invite(Candidate(), profile=ThingProfile(attributes={THING_MARK: "another"}))
    issued(fleet.enroll(candidate))
    assert attributes_of(fleet, candidate.name) == {THING_MARK: "zymkey"}


@each_issuer_that_signs
def test_the_billing_group_of_the_settings_is_sent(deploy, issuer, monkeypatch):
    fleet = deploy(issuer, things={"billingGroup": "research"})
    sent = []
    create = fleet.iot.create_thing

    def watched(**request):
        sent.append(request)
        return create(**request)

    candidate = fleet.invite(Candidate())
    with monkeypatch.context() as patch:
        patch.setattr(fleet.iot, "create_thing", watched)
        issued(fleet.enroll(candidate))
    (request,) = sent
    assert request["billingGroupName"] == "research"
