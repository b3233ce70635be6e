"""block, unblock, renew and remove of many: what happens to each, what it costs, and what --dry-run leaves alone."""

import os
import random
import signal
import time
from dataclasses import replace

import pytest

from ledger import CertificateState, State
from ledger.items import certificate_item, device_item
from tests.support.aws_faults import error_reply
from tests.support.fleet.authority import new_key
from tests.support.fleet.deployment import enroll, renew, status
from tests.support.ledger import certificate

READS = {"DescribeStacks", "GetItem", "Query"}


def fill(cloud, aws, names):
    """Write enrolled devices into the table, each with one certificate; AWS IoT does not know these."""
    items = []
    for number, name in enumerate(names):
        issued = replace(certificate(number, device=name), state=CertificateState.ACTIVE, not_after=2_000_000_000)
        device = device_item(name, State.ENROLLED, 0) | {"certificate_id": issued.certificate_id}
        items += [device | {"fingerprint": f"SHA256:{number:043}"}, certificate_item(issued)]
    wrap = {str: "S", int: "N"}
    requests = [
        {"PutRequest": {"Item": {k: {wrap[int if type(v) is int else str]: str(v)} for k, v in item.items()}}}
        for item in items
    ]
    for start in range(0, len(requests), 25):
        aws("dynamodb").batch_write_item(RequestItems={cloud.table: requests[start : start + 25]})


@pytest.fixture
def file_of(tmp_path):
    def file_of(names):
        path = tmp_path / "names.txt"
        path.write_text("\n".join(names))
        return path

    return file_of


@pytest.fixture
def quick_retries(monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)


def states(cloud, names):
    return {each.name: each.state for each in cloud.ledger.devices() if each.name in set(names)}


def test_many_are_blocked_although_aws_throttles_and_one_is_unknown(
    run, cloud, aws, calls, paces, file_of, quick_retries
):
    names = [f"pi-{number}" for number in range(60)]
    fill(cloud, aws, names)
    dice = random.Random(7)  # noqa: S311 - the same each time
    calls.broken = lambda operation, request: (
        error_reply(request.url, 400, "ThrottlingException")
        if operation != "DescribeStacks" and dice.random() < 0.1
        else None
    )
    file = file_of([*names[:30], "unknown", *names[30:]])
    answer = run("block", "--from", file, "--json")
    assert answer.code == 1
    assert [each["name"] for each in answer.json] == [*names[:30], "unknown", *names[30:]]
    assert [each["name"] for each in answer.json if each["reason"]] == ["unknown"]
    assert answer.err == (
        "unknown: There is no device 'unknown'. Try: zymkey-fleet list, which shows every device\n"
        "Of 61 devices: blocked 60, refused 1.\n"
    )
    assert set(states(cloud, names).values()) == {State.BLOCKED}
    (pace,) = paces
    assert (pace.per_second, pace.waits) == (10, calls.tries["UpdateCertificate"])
    assert pace.waits > 60, "throttled calls were tried again, and waited for their moment again"

    # All of it once more costs two reads a device, and no write.
    calls.tries.clear()
    calls.broken = lambda operation, request: None
    assert run("block", "--from", file).code == 1
    assert calls.tries == {"DescribeStacks": 1, "GetCallerIdentity": 1, "GetItem": 61, "Query": 60}


def test_ctrl_c_leaves_the_rest_to_the_same_command(run, cloud, aws, calls, file_of):
    names = [f"pi-{number}" for number in range(80)]
    fill(cloud, aws, names)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(operation, request):
        if operation == "UpdateCertificate" and calls.tries[operation] == 20:
            os.kill(os.getpid(), signal.SIGINT)

    calls.broken = interrupt
    command = ["block", "--from", file_of(names), "--rate", 9999, "--json"]
    try:
        answer = run(*command)
    finally:
        signal.signal(signal.SIGINT, before)
    told = [each["name"] for each in answer.json]
    assert (answer.code, told) == (130, names[: len(told)])
    assert 0 < len(told) < 60
    assert f"Stopped after {len(told)} of 80 devices (blocked {len(told)}); the same command goes on from" in answer.err
    blocked = {name for name, state in states(cloud, names).items() if state is State.BLOCKED}
    assert blocked == set(told), "what had begun has ended, and been told"
    calls.broken = lambda operation, request: None
    assert run(*command).code == 0
    assert set(states(cloud, names).values()) == {State.BLOCKED}


@pytest.fixture
def three(cloud):
    """Three enrolled devices, with a certificate each in AWS IoT."""
    return {name: enroll(cloud, name) for name in ("pi-1", "pi-2", "pi-3")}


def test_many_are_blocked_let_in_again_and_removed(run, cloud, three):
    everything = [status(cloud, each) for each in three.values()]
    assert everything == ["ACTIVE"] * 3
    table = run("block", *three).out.splitlines()
    assert table[1:] == [f"{name}  blocked  certificates switched off: 1" for name in three]
    assert [status(cloud, each) for each in three.values()] == ["INACTIVE"] * 3

    answer = run("unblock", *three, "--csv")
    assert answer.out.splitlines() == [
        "name,state,reactivated,reason",
        *(f"{name},enrolled,{each.certificate_id}," for name, each in three.items()),
    ]
    assert [status(cloud, each) for each in three.values()] == ["ACTIVE"] * 3

    refused = run("remove", *three, "--json")
    assert refused.code == 1
    assert refused.json[0] == {
        "name": "pi-1",
        "removed": None,
        "certificatesDeleted": None,
        "thing": None,
        "kept": None,
        "reason": "Device 'pi-1' still has a certificate in use; block it first. "
        "Try: zymkey-fleet block pi-1 && zymkey-fleet remove pi-1",
    }
    run("block", *three)
    assert run("remove", "pi-1", "pi-2").err == "Of 2 devices: removed 2.\n"
    again = run("remove", *three, "never-was")
    assert again.code == 1
    assert again.err.splitlines()[-1] == "Of 4 devices: removed before 2, removed 1, refused 1."
    assert states(cloud, three) == {}


def test_many_by_a_filter_want_a_yes(run, cloud, three):
    answer = run("block", "--state", "enrolled", "--json")
    assert (answer.code, answer.json["error"]) == (1, "refused")
    assert set(states(cloud, three).values()) == {State.ENROLLED}
    assert run("block", "--state", "enrolled", "--yes").code == 0
    assert set(states(cloud, three).values()) == {State.BLOCKED}


def test_a_renewal_is_asked_for_once_and_only_of_what_is_enrolled(run, cloud, three, calls):
    one = run("renew", "pi-1", "--json").json
    assert one == {"name": "pi-1", "state": "enrolled", "renewalAskedAt": one["renewalAskedAt"], "published": False}
    assert one["renewalAskedAt"] == run("show", "pi-1", "--json").json["renewalAskedAt"]
    assert one["renewalAskedAt"] is not None
    calls.tries.clear()
    assert run("renew", "pi-1").out == (
        "pi-1 gets a new certificate at its next request. It asks within a day, or now with `sudo zymkey-iot renew` on "
        "the device.\n"
    )
    assert calls.tries == {"DescribeStacks": 1, "GetCallerIdentity": 1, "GetItem": 1}
    run("block", "pi-3")
    run("invite", "pi-4")
    answer = run("renew", "pi-1", "pi-2", "pi-3", "pi-4", "pi-5", "--json")
    assert answer.code == 1
    assert [each["reason"] for each in answer.json] == [
        None,
        None,
        "Device 'pi-3' is blocked: it gets no certificate. Try: zymkey-fleet show pi-3",
        "Device 'pi-4' is invited: it has no certificate yet, and gets a new one anyway. Try: zymkey-fleet show pi-4",
        "There is no device 'pi-5'. Try: zymkey-fleet list, which shows every device",
    ]
    assert [each.what for each in cloud.ledger.history("pi-1")].count("renewal asked for") == 1


def test_what_a_renewal_was_asked_for_is_forgotten_when_the_new_certificate_is_current(run, cloud):
    key = new_key()
    old = enroll(cloud, "pi-1", key)
    run("renew", "pi-1")
    new = renew(cloud, "pi-1", key)
    device = cloud.ledger.device("pi-1")
    assert (device.renew_asked_at, device.certificate_id, device.superseded) == (
        None,
        new.certificate_id,
        old.certificate_id,
    )


@pytest.mark.parametrize(
    ("command", "would"),
    [
        ("block", ["block it, switch off its certificates: 1", "switch off its certificates: 1", None, "block it"]),
        ("unblock", [None, "unblock it", "unblock it, switch on its certificate", None]),
        ("renew", ["ask for its renewal", "blocked: it gets no", "blocked: it gets no", "invited: it has no"]),
        (
            "remove",
            [
                *("in use; block it first", "in use; block it first"),
                "remove it, delete its certificates: 1, delete its thing, if it is the fleet's",
                "remove it",
            ],
        ),
    ],
)
def test_a_dry_run_says_what_would_happen_to_each_and_changes_nothing(run, cloud, three, calls, command, would):
    cloud.ledger.block("pi-2", by="alice", now=int(time.time()))  # and then the laptop's battery was empty
    run("block", "pi-3")
    run("invite", "pi-4")
    calls.tries.clear()
    before = [(each.name, each.state, each.updated_at) for each in cloud.ledger.devices()]
    answer = run(command, *three, "pi-4", "unknown", "--dry-run", "--json")
    assert answer.code == 1
    for row, expected in zip(answer.json, [*would, "There is no device 'unknown'"], strict=True):
        assert row["would"] == expected or (expected is not None and expected in (row["reason"] or "")), row
    assert calls.tries.keys() <= READS
    assert [(each.name, each.state, each.updated_at) for each in cloud.ledger.devices()] == before
    alone = run(command, "pi-1", "--dry-run")
    assert len(alone.out.splitlines()) == 2
    assert calls.tries.keys() <= READS


def test_names_go_with_no_filter_and_something_has_to_be_named(run, cloud):
    assert run("block").code == 2
    assert run("block", "pi-1", "--state", "enrolled").code == 2
