"""The attributes and groups of a device's thing: at ``invite``, ``allow`` and ``approve``, and by ``set`` later."""

import json
import time

import pytest

from fleet.deployment import Deployment
from ledger import THING_MARK, Ledger, ThingProfile
from tests.support.fleet.authority import fingerprint, new_key
from tests.support.fleet.deployment import deploy, enroll

THINGS = {"groups": ["every"], "allowedGroups": ["plant", "hall-7"]}


@pytest.fixture
def cloud(aws, operator_environment, monkeypatch):
    """A deployment that lists groups, each of which exists."""
    for group in ("every", "plant", "hall-7"):
        aws("iot").create_thing_group(thingGroupName=group)
    return deploy(aws, monkeypatch, "kms", Things=json.dumps(THINGS))


@pytest.fixture
def device(cloud):
    """An enrolled device, whose thing has the mark of this fleet."""
    name = f"pi-{fingerprint(new_key())[7:15].replace('/', '_').replace('+', '_')}"
    enroll(cloud, name)
    mark(cloud, name, cloud.fleet)
    return name


def mark(cloud, name, fleet):
    cloud.iot.update_thing(thingName=name, attributePayload={"attributes": {THING_MARK: fleet}, "merge": False})


def attributes_of(cloud, name):
    attributes = cloud.iot.describe_thing(thingName=name)["attributes"]
    return {each: value for each, value in attributes.items() if each != THING_MARK}


def groups_of(cloud, name):
    groups = cloud.iot.list_thing_groups_for_thing(thingName=name)["thingGroups"]
    return {each["groupName"] for each in groups}


# When a device is let in


def test_a_device_is_let_in_with_attributes_and_groups_and_show_has_them(run, cloud):
    key, waiting = new_key(), new_key()
    cloud.ledger.hold_for_approval(fingerprint=fingerprint(waiting), suggested_name="", now=int(time.time()))
    given = ("--attribute", "site=berlin", "--attribute", "hall=7", "--group", "plant")
    assert run("invite", "pi-1", *given).code == 0
    assert run("allow", "pi-2", "--key", fingerprint(key), *given).code == 0
    assert run("approve", fingerprint(waiting), "--name", "pi-3", *given).code == 0
    for name in ("pi-1", "pi-2", "pi-3"):
        shown = run("show", name, "--json")
        assert shown.json["attributes"] == {"site": "berlin", "hall": "7"}
        assert shown.json["groups"] == ["plant"]
    assert "attributes:" in (text := run("show", "pi-1").out)
    assert "site=berlin, hall=7" in text
    run("invite", "pi-4")
    assert "groups:" not in run("show", "pi-4").out


def test_a_second_invitation_keeps_what_the_first_said_unless_it_says_something_itself(run, cloud):
    run("invite", "pi-1", "--attribute", "site=berlin", "--group", "plant")
    run("invite", "pi-1")
    assert cloud.ledger.device("pi-1").profile == ThingProfile(attributes={"site": "berlin"}, groups=("plant",))
    run("invite", "pi-1", "--group", "hall-7")
    assert cloud.ledger.device("pi-1").profile == ThingProfile(groups=("hall-7",))


def test_to_allow_a_key_again_with_other_attributes_is_refused_and_names_set(run, cloud):
    words = ("allow", "pi-1", "--key", fingerprint(new_key()), "--attribute", "site=berlin")
    assert run(*words).code == 0
    assert run(*words).code == 0
    answer = run(*words[:-1], "site=paris")
    assert answer.code == 1
    assert "its thing has other attributes or groups" in answer.err
    assert "`zymkey-fleet set pi-1`" in answer.err
    assert cloud.ledger.device("pi-1").profile.attributes == {"site": "berlin"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--attribute", "site"), "is not NAME=VALUE with a name of 1 to 128"),
        (("--attribute", "site="), "there is no value"),
        (("--attribute", "a b=c"), "is not NAME=VALUE"),
        (("--attribute", "site=b c"), "is not 1 to 800 letters"),
        (("--attribute", "site=" + "x" * 801), "is not 1 to 800 letters"),
        (("--attribute", "zymkey-fleet=mine"), "is the fleet's mark, and stays as it is"),
        (("--group", "a b"), "is not a thing group, which is a name of 1 to 128"),
    ],
)
def test_what_aws_iot_would_not_take_is_a_usage_error(run, words, sentence):
    answer = run("invite", "pi-1", *words)
    assert answer.code == 2
    assert sentence in answer.err


@pytest.mark.parametrize("command", ["invite", "set"])
def test_a_group_that_the_settings_do_not_list_is_refused_and_the_setting_is_named(run, cloud, command):
    run("invite", "pi-1")
    answer = run(command, "pi-1", "--group", "vault")
    assert answer.code == 1
    assert "The setting things.allowedGroups of this deployment does not list the group 'vault'." in answer.err
    assert "choose one of every, plant, hall-7" in answer.err
    assert cloud.ledger.device("pi-1").profile == ThingProfile()


def test_a_deployment_without_the_setting_takes_attributes_and_no_group(run, aws, operator_environment, monkeypatch):
    cloud = deploy(aws, monkeypatch, "kms")
    assert run("invite", "pi-1", "--attribute", "site=berlin").code == 0
    assert cloud.ledger.device("pi-1").profile.attributes == {"site": "berlin"}
    assert "does not list the group 'plant'" in run("invite", "pi-2", "--group", "plant").err


def test_more_attributes_and_groups_than_a_thing_has_room_for_are_refused(run, aws, operator_environment, monkeypatch):
    groups = [f"g{number}" for number in range(11)]
    things = {"attributes": {"site": "berlin"}, "groups": groups[:5], "allowedGroups": groups[5:]}
    deploy(aws, monkeypatch, "kms", Things=json.dumps(things))
    answer = run("invite", "pi-1", "--attribute", "a=1", "--attribute", "b=2")
    assert answer.code == 1
    assert (
        "3 attributes (a, b, site), but AWS IoT has room for 2 beside the fleet's mark; with a thing type" in answer.err
    )
    assert run("invite", "pi-1", "--attribute", "a=1", "--attribute", "site=paris").code == 0
    answer = run("invite", "pi-1", *(word for each in groups for word in ("--group", each)))
    assert (answer.code, "11 groups, but AWS IoT has room for 10" in answer.err) == (1, True)


# set


def test_set_changes_the_ledger_and_the_thing_and_takes_both_back(run, cloud, device):
    answer = run("set", device, "--attribute", "site=berlin", "--group", "plant", "--group", "hall-7", "--json")
    assert answer.code == 0, answer.err
    profile = {"attributes": {"site": "berlin"}, "groups": ["plant", "hall-7"]}
    assert answer.json == {"name": device, **profile, "thing": True}
    assert (attributes_of(cloud, device), groups_of(cloud, device)) == ({"site": "berlin"}, {"plant", "hall-7"})
    assert run("show", device, "--json").json.items() >= profile.items()

    assert run("set", device, "--attribute", "site=", "--attribute", "hall=7", "--no-group", "plant").code == 0
    assert (attributes_of(cloud, device), groups_of(cloud, device)) == ({"hall": "7"}, {"hall-7"})
    assert cloud.ledger.device(device).profile == ThingProfile(attributes={"hall": "7"}, groups=("hall-7",))
    assert run("set", device, "--attribute", "hall=", "--no-group", "hall-7").code == 0
    assert cloud.ledger.device(device).thing is None
    assert cloud.iot.describe_thing(thingName=device)["attributes"] == {THING_MARK: cloud.fleet}
    changes = [each for each in cloud.ledger.history(device) if each.what == "thing changed"]
    assert len(changes) == 3


@pytest.mark.parametrize("operation", ["update_thing", "add_thing_to_thing_group", "remove_thing_from_thing_group"])
def test_set_that_breaks_is_completed_by_the_same_command(run, cloud, device, operation, monkeypatch):
    run("set", device, "--attribute", "old=1", "--group", "hall-7")
    words = (
        "set",
        device,
        "--attribute",
        "site=berlin",
        "--attribute",
        "old=",
        "--group",
        "plant",
        "--no-group",
        "hall-7",
    )

    def broken(**_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cloud.iot, operation, broken)
        patch.setattr(Deployment, "iot", cloud.iot)
        assert run(*words).code == 130
    assert cloud.ledger.device(device).profile == ThingProfile(attributes={"site": "berlin"}, groups=("plant",))
    for _ in range(2):
        assert run(*words).code == 0
        assert (attributes_of(cloud, device), groups_of(cloud, device)) == ({"site": "berlin"}, {"plant"})


def test_a_device_without_a_thing_gets_it_at_its_enrollment(run, cloud):
    run("invite", "pi-without", "--group", "plant")
    answer = run("set", "pi-without", "--attribute", "site=berlin")
    assert (answer.code, answer.out) == (
        0,
        "pi-without has no thing yet; it gets its attributes and groups when it enrolls.\n",
    )
    expected = ThingProfile(attributes={"site": "berlin"}, groups=("plant",))
    assert cloud.ledger.device("pi-without").profile == expected


def test_a_device_that_enrolls_while_set_works_gets_the_change_all_the_same(run, cloud, monkeypatch):
    enroll(cloud, "pi-racing", permitted=False)
    set_profile = Ledger.set_profile

    def slow(*words, **options):
        cloud.iot.create_thing(
            thingName="pi-racing", attributePayload={"attributes": {THING_MARK: cloud.fleet, "site": "berlin"}}
        )
        set_profile(*words, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "set_profile", slow)
        assert run("set", "pi-racing", "--attribute", "site=paris", "--json").json["thing"] is True
    assert attributes_of(cloud, "pi-racing") == {"site": "paris"}


def test_two_operators_at_once_the_slower_one_is_told_to_try_again(run, cloud, device, monkeypatch):
    set_profile = Ledger.set_profile

    def overtaken(ledger, name, profile, **options):
        set_profile(ledger, name, ThingProfile(groups=("plant",)), before=ThingProfile(), by="another", now=1)
        set_profile(ledger, name, profile, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "set_profile", overtaken)
        assert run("set", device, "--attribute", "site=paris").code == 6
    assert attributes_of(cloud, device) == {}
    assert run("set", device, "--attribute", "site=paris").code == 0
    assert cloud.ledger.device(device).profile == ThingProfile(attributes={"site": "paris"}, groups=("plant",))


def test_set_alone_repairs_a_group_that_was_missing(run, cloud, device):
    run("set", device, "--group", "plant")
    cloud.iot.remove_thing_from_thing_group(thingName=device, thingGroupName="plant")
    cloud.iot.update_thing(thingName=device, attributePayload={"attributes": {"room": "7"}, "merge": True})
    assert run("set", device).code == 0
    assert (attributes_of(cloud, device), groups_of(cloud, device)) == ({"room": "7"}, {"plant"})
    assert run("set", device, "--group", "every").code == 0, "one of the settings, too"


def test_a_group_that_is_not_there_is_named_with_its_cure(run, aws, operator_environment, monkeypatch):
    cloud = deploy(aws, monkeypatch, "kms", Things=json.dumps({"allowedGroups": ["nowhere"]}))
    enroll(cloud, "pi-nowhere")
    mark(cloud, "pi-nowhere", cloud.fleet)
    answer = run("set", "pi-nowhere", "--group", "nowhere")
    assert answer.code == 1
    assert "AWS IoT has no thing group 'nowhere'." in answer.err
    assert "aws iot create-thing-group --thing-group-name nowhere" in answer.err
    assert run("set", "pi-nowhere", "--no-group", "nowhere").code == 0


@pytest.mark.parametrize(("owner", "said"), [("another", "is of the fleet 'another'"), ("", "has no fleet's mark")])
def test_a_thing_of_another_fleet_or_of_none_is_not_changed(run, cloud, device, owner, said):
    cloud.iot.update_thing(
        thingName=device, attributePayload={"attributes": {THING_MARK: owner} if owner else {}, "merge": False}
    )
    answer = run("set", device, "--attribute", "site=berlin", "--group", "plant")
    assert answer.code == 1
    assert said in answer.err
    assert (attributes_of(cloud, device), groups_of(cloud, device)) == ({}, set())
    assert cloud.ledger.device(device).thing is None


def test_set_refuses_more_attributes_than_the_thing_has_room_for_before_it_changes_anything(run, cloud, device):
    run("set", device, "--attribute", "a=1", "--attribute", "b=2")
    answer = run("set", device, "--attribute", "c=3")
    assert answer.code == 1
    assert "3 attributes (a, b, c)" in answer.err
    assert cloud.ledger.device(device).profile.attributes == {"a": "1", "b": "2"}
    assert run("set", device, "--attribute", "c=3", "--attribute", "a=").code == 0
    assert attributes_of(cloud, device) == {"b": "2", "c": "3"}


def test_the_mark_can_be_neither_set_nor_taken_away(run, cloud, device):
    for value in ("", "another"):
        answer = run("set", device, "--attribute", f"{THING_MARK}={value}")
        assert (answer.code, "is the fleet's mark, and stays as it is" in answer.err) == (2, True)


def test_set_refuses_an_unknown_device_and_a_group_to_join_and_to_leave(run, cloud, device):
    answer = run("set", "pi-unknown", "--attribute", "a=b")
    assert (answer.code, "There is no device 'pi-unknown'." in answer.err) == (1, True)
    answer = run("set", device, "--group", "plant", "--no-group", "plant")
    assert (answer.code, "to be joined and left at once" in answer.err) == (1, True)


def test_a_thing_that_changes_meanwhile_is_left_to_the_next_try(run, cloud, device, monkeypatch):
    conflict = cloud.iot.exceptions.VersionConflictException({"Error": {}}, "UpdateThing")
    sent = []

    def refuse(**request):
        sent.append(request)
        raise conflict

    with monkeypatch.context() as patch:
        patch.setattr(cloud.iot, "update_thing", refuse)
        patch.setattr(Deployment, "iot", cloud.iot)
        answer = run("set", device, "--attribute", "site=berlin")
    assert (answer.code, "was changed by somebody else meanwhile" in answer.err) == (1, True)
    assert sent[0]["expectedVersion"] >= 1
    assert run("set", device, "--attribute", "site=berlin").code == 0
    assert attributes_of(cloud, device) == {"site": "berlin"}
