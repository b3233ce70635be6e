"""remove: what a device leaves in AWS IoT goes with it, and nothing that is another's; whatever is interrupted."""

import itertools
import json
import time

import pytest

from fleet import departure
from ledger import THING_MARK
from pki.issuers import KMS
from tests.support.aws_faults import Faults, error_reply
from tests.support.aws_fleet import new_name
from tests.support.fleet.authority import new_key
from tests.support.fleet.deployment import THINGS_OF, deploy, enroll, renew, status

LAMP = b'{"state": {"reported": {"lamp": "on"}}}'


@pytest.fixture
def cloud(aws, operator_environment, monkeypatch):
    """The fleet has the name of the mark that its things have."""
    return deploy(aws, monkeypatch, KMS, Fleet=THINGS_OF)


@pytest.fixture
def name():
    return new_name()


@pytest.fixture
def blocked(run, cloud, name):
    """The certificates of a blocked device, of which one was superseded by a renewal."""
    key = new_key()
    certificates = [enroll(cloud, name, key), renew(cloud, name, key)]
    assert run("block", name).code == 0
    return certificates


@pytest.fixture
def pauses(monkeypatch):
    """The seconds for which AWS IoT was given time to notice."""
    pauses = []
    monkeypatch.setattr(departure.time, "sleep", pauses.append)
    return pauses


def ids(certificates):
    return [each.certificate_id for each in certificates]


def left_of(cloud, name, certificates):
    """What AWS IoT has of them."""
    found = []
    for each in certificates:
        try:
            found.append(status(cloud, each))
        except cloud.iot.exceptions.ResourceNotFoundException:
            continue
    try:
        found.append(cloud.iot.describe_thing(thingName=name)["thingName"])
    except cloud.iot.exceptions.ResourceNotFoundException:
        return found
    return found


def test_certificates_thing_and_shadow_go_and_the_history_stays(run, cloud, name, blocked, aws):
    for which in ({}, {"shadowName": "firmware"}):
        aws("iot-data").update_thing_shadow(thingName=name, payload=LAMP, **which)
    answer = run("remove", name, "--json")
    assert answer.json == {
        "name": name,
        "removed": True,
        "certificatesDeleted": answer.json["certificatesDeleted"],
        "thing": "deleted",
        "kept": [],
    }
    assert set(answer.json["certificatesDeleted"]) == set(ids(blocked))
    assert left_of(cloud, name, blocked) == []
    for which in ({}, {"shadowName": "firmware"}):
        with pytest.raises(aws("iot-data").exceptions.ResourceNotFoundException):
            aws("iot-data").get_thing_shadow(thingName=name, **which)
    what = [each["what"] for each in run("history", name, "--json").json]
    assert what[-4:] == ["removed", "certificate deleted", "certificate deleted", "thing deleted"]
    assert all(each.deleted_at for each in cloud.ledger.certificates(name))
    assert "None" not in run("show", name).out


def test_a_thing_that_is_to_stay_stays_with_its_shadow(run, cloud, name, blocked, aws):
    aws("iot-data").update_thing_shadow(thingName=name, payload=LAMP)
    answer = run("remove", name, "--keep-thing")
    assert answer.out == (
        f"{name} is removed: its name and its key are free; certificates deleted from AWS IoT: 2; kept: the thing: "
        "--keep-thing.\n"
    )
    assert left_of(cloud, name, blocked) == [name]
    kept = json.loads(aws("iot-data").get_thing_shadow(thingName=name)["payload"].read())
    assert kept["state"] == {"reported": {"lamp": "on"}}


@pytest.mark.parametrize("mark", [None, "acme"])
def test_a_thing_of_another_fleet_or_of_none_is_kept(run, cloud, name, blocked, mark):
    attributes = {THING_MARK: mark} if mark else {}
    cloud.iot.update_thing(thingName=name, attributePayload={"attributes": attributes, "merge": False})
    answer = run("remove", name, "--json").json
    assert (answer["thing"], set(answer["certificatesDeleted"])) == ("kept", set(ids(blocked)))
    why = "it is of the fleet 'acme'" if mark else "it has no attribute zymkey-fleet"
    assert why in answer["kept"][0]
    assert left_of(cloud, name, blocked) == [name]


def test_a_thing_with_a_certificate_that_the_ledger_does_not_know_is_kept(run, cloud, name, blocked):
    stranger = enroll(cloud, new_name())
    arn = cloud.iot.describe_certificate(certificateId=stranger.certificate_id)["certificateDescription"]
    cloud.iot.attach_thing_principal(thingName=name, principal=arn["certificateArn"])
    answer = run("remove", name, "--json").json
    assert (answer["thing"], stranger.certificate_id in answer["kept"][0]) == ("kept", True)
    assert status(cloud, stranger) == "ACTIVE"


def test_a_device_that_never_came_leaves_nothing_to_delete(run, cloud, name):
    run("invite", name)
    assert run("remove", name, "--json").json == {
        "name": name,
        "removed": True,
        "certificatesDeleted": [],
        "thing": None,
        "kept": [],
    }


def faults_before(monkeypatch, **options):
    """Break one of the calls that the command makes of AWS."""
    from fleet.aws_session import AwsSession

    made, faults = AwsSession.client, Faults(**options)

    def client(self, service):
        client = made(self, service)
        faults.watch(client)
        return client

    monkeypatch.setattr(AwsSession, "client", client)
    return faults


# What the command asks AWS for, from the removal in the ledger on; some of it twice, for two certificates.
POSITIONS = range(3, 30)
SAMPLE = (5, 9, 13, 24, 27)


@pytest.mark.parametrize(
    "position", [each if each in SAMPLE else pytest.param(each, marks=pytest.mark.slow) for each in POSITIONS]
)
def test_what_an_interruption_leaves_is_deleted_by_the_same_command(run, cloud, name, blocked, monkeypatch, position):
    with monkeypatch.context() as patch:
        faults = faults_before(patch, position=position, kind="killed")
        with pytest.raises(BaseException, match="") as ended:
            run("remove", name, "--json")
        assert type(ended.value).__name__ == "Killed"
        assert faults.fired
    assert run("remove", name, "--json").code == 0
    assert left_of(cloud, name, blocked) == []
    assert cloud.ledger.device(name) is None
    assert all(each.deleted_at for each in cloud.ledger.certificates(name))


def test_a_removed_device_is_no_failure_and_its_successor_is_not_touched(run, cloud, name, blocked):
    """The interruption left everything in AWS IoT; then somebody else got the name."""
    now = int(time.time())
    cloud.ledger.remove(name, by="alice", now=now)
    again = run("remove", name, "--dry-run", "--json").json[0]
    assert again["would"] == "delete its certificates: 2, delete its thing, if it is the fleet's"
    new = enroll(cloud, name)
    refused = run("remove", name)
    assert (refused.code, "block it first" in refused.err) == (1, True)
    assert status(cloud, new) == "ACTIVE"
    found = departure.depart(name, _deployment(), keep_thing=False)
    assert set(found.certificates) == set(ids(blocked))
    assert (found.thing, found.kept) == ("kept", ["the thing: a new device has its name"])
    assert left_of(cloud, name, [*blocked, new]) == ["ACTIVE", name]


def _deployment():
    from fleet.arguments import add_deployment
    from fleet.cli import SafeParser
    from fleet.deployment import open_deployment

    parser = SafeParser()
    add_deployment(parser)
    return open_deployment(parser.parse_args([]))


def test_a_certificate_that_somebody_has_switched_on_is_off_before_it_goes(run, cloud, name, blocked):
    cloud.iot.update_certificate(certificateId=blocked[0].certificate_id, newStatus="ACTIVE")
    assert run("remove", name, "--json").json["kept"] == []
    assert left_of(cloud, name, blocked) == []


@pytest.mark.parametrize(
    ("operation", "code"),
    [("DeleteCertificate", "DeleteConflictException"), ("DeleteThing", "InvalidRequestException")],
)
@pytest.mark.parametrize("lasts", [2, 99])
def test_aws_iot_is_given_time_to_notice_what_was_detached(
    run, cloud, name, blocked, calls, pauses, operation, code, lasts
):
    tries = itertools.count()
    calls.broken = lambda called, request: (
        error_reply(request.url, 409, code) if called == operation and next(tries) < lasts else None
    )
    answer = run("remove", name, "--json").json
    if lasts == 2:
        assert (answer["kept"], left_of(cloud, name, blocked)) == ([], [])
        assert sum(pauses) < 8
        return
    assert answer["kept"]
    assert all("the same command again, in a minute" in each for each in answer["kept"])
    calls.broken = lambda called, request: None
    assert run("remove", name, "--json").json["kept"] == []
    assert left_of(cloud, name, blocked) == []


def test_what_aws_does_not_permit_is_kept_and_said(run, cloud, name, blocked, calls):
    """Somebody with a policy of their own, from before ``remove`` deleted anything."""
    calls.broken = lambda called, request: (
        error_reply(request.url, 403, "AccessDeniedException")
        if called in ("DescribeCertificate", "DescribeThing")
        else None
    )
    answer = run("remove", name)
    assert (answer.code, cloud.ledger.device(name)) == (0, None)
    assert "kept: the thing: AWS does not permit DescribeThing. Try: ask an administrator for" in answer.out


def test_many_are_removed_at_their_pace(run, cloud, paces):
    names = [new_name() for _ in range(3)]
    certificates = [enroll(cloud, each) for each in names]
    run("block", *names)
    paces.clear()
    answer = run("remove", *names, "--rate", 5, "--csv")
    assert answer.out.splitlines()[1:] == [
        f"{name},true,{each.certificate_id},deleted,," for name, each in zip(names, certificates, strict=True)
    ]
    assert {(each.per_second, each.waits) for each in paces} == {(5, 3)}
