"""renew: the ledger has what was asked for; telling a device at once is for speed alone; --force forgets the day."""

import json
import time

import pytest

from fleet.aws_session import AwsSession
from ledger import DailyLimitReached
from ledger.records import utc_day
from pki.issuers import KMS
from tests.support.aws_faults import error_reply, json_reply
from tests.support.fleet.authority import new_key
from tests.support.fleet.deployment import deploy, enroll

TOPIC = "zymkey/test/renew/{device}"
FORBIDDEN = "ForbiddenException"


class DataPlane:
    """AWS IoT's, as the command's clients meet it: the messages that it took, and the error that it answers instead."""

    def __init__(self):
        self.messages = []
        self.error = None
        self.tries = 0

    def sent(self, request, **_):
        self.tries += 1
        if self.error is not None:
            return error_reply(request.url, 403, self.error)
        path, _, query = request.url.partition("/topics/")[2].partition("?")
        self.messages.append((path.replace("%2F", "/"), query, json.loads(request.body)))
        return json_reply(request.url, '{"message":"OK","traceId":"0"}')


@pytest.fixture
def data_plane(monkeypatch):
    data_plane, made = DataPlane(), AwsSession.client

    def client(self, service):
        client = made(self, service)
        client.meta.events.register("before-send.iot-data-plane", data_plane.sent)
        return client

    monkeypatch.setattr(AwsSession, "client", client)
    return data_plane


@pytest.fixture
def cloud(aws, operator_environment, monkeypatch):
    return deploy(aws, monkeypatch, KMS, RenewalTopic=TOPIC)


def test_a_device_is_told_on_its_own_topic_once_the_ledger_has_what_was_asked_for(run, cloud, data_plane):
    enroll(cloud, "pi-1")
    answer = run("renew", "pi-1", "--json")
    assert answer.code == 0
    assert answer.json["published"] is True
    assert answer.json["renewalAskedAt"] is not None
    assert data_plane.messages == [("zymkey/test/renew/pi-1", "qos=1", {"renew": "pi-1"})]
    assert run("renew", "pi-1").out == (
        "pi-1 gets a new certificate at its next request. It was told so, and asks at once if its program subscribes; "
        "else within a day, or now with `sudo zymkey-iot renew` on the device.\n"
    )
    assert len(data_plane.messages) == 2, "who missed the first message may hear the second"


def test_who_is_refused_is_told_nothing_on_any_topic(run, cloud, data_plane):
    enroll(cloud, "pi-1")
    run("block", "pi-1")
    run("invite", "pi-2")
    for name in ("pi-1", "pi-2", "nobody"):
        assert run("renew", name, "--force").code == 1
    assert data_plane.messages == []


def test_what_cannot_be_published_is_a_note_and_no_failure_since_the_ledger_has_it(run, cloud, data_plane):
    enroll(cloud, "pi-1")
    data_plane.error = FORBIDDEN
    answer = run("renew", "pi-1", "--json")
    assert (answer.code, answer.json["published"]) == (0, False)
    assert answer.err == (
        "The device was not told at once (AWS does not permit Publish). What was asked for stands: a device asks once "
        "a day by itself.\n"
    )
    assert cloud.ledger.device("pi-1").renew_asked_at is not None


def test_of_many_each_is_told_and_a_data_plane_that_refuses_keeps_nobody_waiting(run, cloud, data_plane):
    names = [f"pi-{number}" for number in range(24)]
    for name in names:
        enroll(cloud, name, registered=False)
    answer = run("renew", *names[:8], "--json")
    assert [each["published"] for each in answer.json] == [True] * 8
    assert sorted(message["renew"] for _, _, message in data_plane.messages) == sorted(names[:8])
    data_plane.error, data_plane.tries = FORBIDDEN, 0
    answer = run("renew", *names, "--json")
    assert answer.code == 0
    assert {each["published"] for each in answer.json} == {False}
    assert data_plane.tries < 20, "three failures, and what was on its way with them"
    assert "24 devices were not told at once" in answer.err
    assert all(cloud.ledger.device(each).renew_asked_at for each in names)


def test_a_deployment_that_announces_no_topic_is_asked_for_nothing(run, aws, data_plane, monkeypatch):
    cloud = deploy(aws, monkeypatch, KMS)
    enroll(cloud, "pi-1")
    answer = run("renew", "pi-1", "--json")
    assert (answer.code, answer.json["published"], answer.err) == (0, False, "")
    assert data_plane.tries == 0


def with_a_full_day(cloud, aws, name, count=10):
    """As ten renewals leave the device."""
    aws("dynamodb").update_item(
        TableName=cloud.table,
        Key={"pk": {"S": f"device#{name}"}, "sk": {"S": "device"}},
        UpdateExpression="SET issued_on = :day, issued_count = :count",
        ExpressionAttributeValues={":day": {"N": str(utc_day(int(time.time())))}, ":count": {"N": str(count)}},
    )


def test_force_forgets_the_certificates_of_today_and_says_so(run, cloud, aws, data_plane):
    enroll(cloud, "pi-1", new_key())
    with_a_full_day(cloud, aws, "pi-1")
    run("renew", "pi-1")
    now = int(time.time())
    with pytest.raises(DailyLimitReached):
        cloud.ledger.refuse_over_limit(cloud.ledger.device("pi-1"), at_most=10, now=now)
    foreseen = run("renew", "pi-1", "--force", "--dry-run", "--json").json
    assert foreseen[0]["would"] == "ask for its renewal again, forget its certificates of today: 10"
    assert run("renew", "pi-1", "--dry-run", "--json").json[0]["would"] is None
    answer = run("renew", "pi-1", "--force")
    assert "Its certificates of today are counted anew." in answer.out
    cloud.ledger.refuse_over_limit(cloud.ledger.device("pi-1"), at_most=10, now=now)
    assert [each.what for each in cloud.ledger.history("pi-1")].count("renewal asked for") == 2
