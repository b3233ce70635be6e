"""Who is connected, as AWS IoT's fleet index says it, and what is said where it does not know."""

import time

import pytest

from fleet.aws_session import AwsSession
from ledger import THING_MARK
from tests.support.fleet.deployment import enroll

NOW = int(time.time())
# By the end of the device's name.
CONNECTIONS = {
    "on": {"connected": True, "timestamp": (NOW - 900_000) * 1000 + 999},
    "lately": {"connected": False, "timestamp": (NOW - 3600) * 1000, "disconnectReason": "CLIENT_INITIATED_DISCONNECT"},
    "long-ago": {"connected": False, "timestamp": (NOW - 800_000) * 1000, "disconnectReason": "CONNECTION_LOST"},
    "never": {"connected": False},
}


@pytest.fixture
def index(cloud, aws):
    """A function that sets what the account indexes."""
    iot = aws("iot")

    def configure(things, connectivity):
        iot.update_indexing_configuration(
            thingIndexingConfiguration={
                "thingIndexingMode": things,
                "thingConnectivityIndexingMode": connectivity,
            }
        )

    yield configure
    configure("OFF", "OFF")


@pytest.fixture
def connected(cloud, index, monkeypatch):
    """The fleet's devices, one of each connection; the queries that were sent are returned."""
    index("REGISTRY", "STATUS")
    queries = []
    for each in CONNECTIONS:
        name = f"{cloud.fleet}-{each}"
        enroll(cloud, name)
        cloud.iot.update_thing(
            thingName=name, attributePayload={"attributes": {THING_MARK: cloud.fleet}, "merge": True}
        )
    # A thing of the same account, but of another fleet; and a device without a thing, whose token waits.
    cloud.iot.create_thing(thingName=f"{cloud.fleet}-x-on", attributePayload={"attributes": {THING_MARK: "another"}})
    cloud.ledger.invite(f"{cloud.fleet}-x-on", token_hash="x", token_expires=NOW + 86_400, by="alice", now=NOW)

    def answer(parsed, **_):
        for thing in parsed.get("things", []):
            known = [each for end, each in CONNECTIONS.items() if thing["thingName"].endswith(end)]
            thing["connectivity"] = (known or [{"connected": False}])[0]
            if thing["connectivity"] is None:
                del thing["connectivity"]

    made = AwsSession.client

    def client(self, service):
        client = made(self, service)
        if service == "iot":
            client.meta.events.register("after-call.iot.SearchIndex", answer)
            client.meta.events.register(
                "provide-client-params.iot.SearchIndex", lambda params, **_: queries.append(params["queryString"])
            )
        return client

    monkeypatch.setattr(AwsSession, "client", client)
    return queries


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_the_list_says_since_when_each_device_is_connected_or_not(run, cloud, connected):
    answer = run("list", "--seen")
    heads, *rows = [line.split() for line in answer.out.splitlines()]
    assert heads[-1] == "LAST-SEEN"
    assert {row[0].removeprefix(f"{cloud.fleet}-"): row[-1] for row in rows} == {
        "on": f"connected:{iso(NOW - 900_000)}",
        "lately": f"disconnected:{iso(NOW - 3600)}",
        "long-ago": f"disconnected:{iso(NOW - 800_000)}",
        "never": "never",
        "x-on": "never",
    }
    as_json = {each["name"].removeprefix(f"{cloud.fleet}-"): each for each in run("list", "--seen", "--json").json}
    assert [(as_json[each]["connected"], as_json[each]["connectionChanged"]) for each in ("on", "never")] == [
        (True, iso(NOW - 900_000)),
        (False, None),
    ]


def test_a_thing_of_which_aws_iot_has_no_connection_was_never_connected(run, cloud, connected, monkeypatch):
    """Whether AWS IoT leaves it out there, or says that it is not connected, is written nowhere."""
    monkeypatch.setitem(CONNECTIONS, "never", None)
    rows = [line.split() for line in run("list", "--seen").out.splitlines()[1:]]
    assert [row[-1] for row in rows if row[0] == f"{cloud.fleet}-never"] == ["never"]
    assert f"{cloud.fleet}-never" in [row[0] for row in rows]
    listed = run("list", "--not-seen-for", "365d", "--json").json
    assert [each["name"] for each in listed] == [f"{cloud.fleet}-never"]


def test_sorted_by_last_seen_the_longest_ago_comes_first(run, cloud, connected):
    answer = run("list", "--sort", "seen", "--state", "enrolled", "--csv")
    rows = [line.split(",")[0] for line in answer.out.splitlines()[1:]]
    assert [each.removeprefix(f"{cloud.fleet}-") for each in rows] == ["never", "long-ago", "lately", "on"]
    assert answer.out.splitlines()[0].endswith(",connected,connectionChanged")


def test_not_seen_for_a_time_are_those_with_a_certificate_that_were_not_connected_since(run, cloud, connected):
    def unseen(time):
        listed = run("list", "--not-seen-for", time, "--json").json
        return [each["name"].removeprefix(f"{cloud.fleet}-") for each in listed]

    assert unseen("1d") == ["long-ago", "never"]
    assert unseen("30m") == ["lately", "long-ago", "never"]
    assert unseen("365d") == ["never"]
    assert run("list", "--not-seen-for", "1d", "--count").out == "2\n"


def test_the_index_is_asked_for_the_prefix_up_to_where_its_language_has_other_ideas(run, cloud, connected):
    run("list", "--seen", "--prefix", "cam")
    run("list", "--seen", "--prefix", "cam-1")
    run("list", "--seen")
    assert connected == ["thingName:cam*", "thingName:cam*", "thingName:*"]


@pytest.mark.parametrize("name", ["on", "lately", "never"])
def test_show_says_it_of_one_device(run, cloud, connected, name):
    shown = {
        "on": f"connected, since {iso(NOW - 900_000)}",
        "lately": f"disconnected, since {iso(NOW - 3600)}",
        "never": "never connected",
    }[name]
    (line,) = [each for each in run("show", f"{cloud.fleet}-{name}").out.splitlines() if each.startswith("connection:")]
    assert line.partition(":")[2].strip() == shown
    assert connected == [f'thingName:"{cloud.fleet}-{name}"']
    found = CONNECTIONS[name]
    since = iso(found["timestamp"] // 1000) if "timestamp" in found else None
    answer = run("show", f"{cloud.fleet}-{name}", "--json").json
    assert answer["connection"] == {"connected": found["connected"], "since": since}


SWITCH_ON = (
    "aws iot update-indexing-configuration --thing-indexing-configuration "
    "thingIndexingMode=REGISTRY,thingConnectivityIndexingMode=STATUS"
)


@pytest.mark.parametrize("modes", [("OFF", "OFF"), ("REGISTRY", "OFF"), ("REGISTRY_AND_SHADOW", "OFF")])
def test_where_aws_iot_does_not_know_it_the_command_that_switches_it_on_is_said(run, cloud, index, modes):
    name = f"{cloud.fleet}-1"
    enroll(cloud, name)
    index(*modes)
    for words in (["--seen"], ["--sort", "seen"], ["--not-seen-for", "1d"]):
        answer = run("list", *words)
        assert (answer.code, answer.out) == (1, "")
        assert SWITCH_ON in answer.err
    answer = run("show", name)
    assert answer.code == 0
    (line,) = [each for each in answer.out.splitlines() if each.startswith("connection:")]
    assert "unknown" in line
    assert "replaces what `aws iot get-indexing-configuration` shows" in line
    assert SWITCH_ON in line
    assert SWITCH_ON in run("show", name, "--json").json["connection"]["unknown"]


def test_the_command_that_switches_it_on_does(run, cloud, aws, index):
    from fleet.last_seen import SWITCH_ON as SAID

    assert SAID == SWITCH_ON
    words = SAID.split("--thing-indexing-configuration ")[1]
    aws("iot").update_indexing_configuration(
        thingIndexingConfiguration=dict(each.split("=") for each in words.split(","))
    )
    name = f"{cloud.fleet}-1"
    enroll(cloud, name)
    assert run("list", "--seen", "--prefix", name).out.split()[-1] == "never"


def test_an_index_that_is_being_built_is_waited_for(run, cloud, index, monkeypatch):
    from botocore.exceptions import ClientError

    from fleet.deployment import Deployment

    class Iot:
        def search_index(self, **_):
            raise ClientError({"Error": {"Code": "IndexNotReadyException", "Message": "x"}}, "SearchIndex")

    monkeypatch.setattr(Deployment, "iot", Iot())
    answer = run("list", "--seen")
    assert "run the same command again in some minutes" in answer.err


def test_show_says_when_a_device_enrolled_and_when_it_renewed(run, cloud):
    from tests.support.fleet.authority import new_key
    from tests.support.fleet.deployment import renew

    key = new_key()
    enroll(cloud, "pi-1", key)
    shown = run("show", "pi-1", "--json").json
    assert shown["renewed"] is None
    renew(cloud, "pi-1", key)
    shown = run("show", "pi-1", "--json").json
    assert shown["enrolled"] <= shown["renewed"] <= iso(time.time())
    assert "renewed:" in run("show", "pi-1").out
