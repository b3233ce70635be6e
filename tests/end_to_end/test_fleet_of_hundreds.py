"""A fleet from a file to its end: invited, enrolled many at a time, listed, renewed, a tenth blocked and removed.

40 devices, of which 6 at a time enroll: what the whole suite has time for. `make test-slow` takes 500, 20 at a time,
and so does FLEET_DEVICES=500 in the environment; `-s` shows how long each step took. Devices run in this process, with
the device's own code and software keys; a few are the real command with a simulated Zymkey.
"""

import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.cards import token_of
from ledger import State
from tests.support.cloud.cheap_device import CheapDevice, at_a_time
from tests.support.cloud.commands import RaspberryPi, operator
from tests.support.cloud.enrollment import Cloud
from tests.support.cloud.running_sandbox import RunningSandbox
from tests.support.cloud.watcher import Watcher

DEVICES = int(os.environ.get("FLEET_DEVICES", "40"))
# Of the emulator's functions each that works at the same time costs a process of its own, and a second to begin.
AT_A_TIME = 20 if DEVICES >= 200 else 6
QUEUED, BY_COMMAND = 5, 2
# For all of it, of 500 devices; on two cores that others use as well.
BOUND_SECONDS = 600


@contextmanager
def told(step: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    sys.stdout.write(f"{step:<40} {time.monotonic() - began:6.1f} s\n")


def queue_is_as_long_as(seconds: float, sandbox: RunningSandbox) -> None:
    """As if others had come before, and taken all turns of the next seconds."""
    counter = {"N": str(int((time.time() + seconds) * 1_000_000))}
    item = {"pk": {"S": "turns"}, "sk": {"S": "turns"}, "counter": counter}
    sandbox.boto("dynamodb").put_item(TableName=sandbox.outputs["LedgerTable"], Item=item)


def test_a_fleet_from_a_file_to_its_end(sandbox: RunningSandbox, tmp_path: Path) -> None:
    began = time.monotonic()
    cloud, fleet = Cloud(sandbox), operator(sandbox.env)
    prefix = f"fleet-{secrets.token_hex(3)}-"
    names = [f"{prefix}{number:03}" for number in range(DEVICES)]
    cards, listed = tmp_path / "cards", tmp_path / "devices.csv"
    listed.write_text("".join(f"{name},,number={number}\n" for number, name in enumerate(names)))
    devices = [CheapDevice.made(name, cards=cards, folder=tmp_path, env=sandbox.env) for name in names]
    boards = [RaspberryPi(name, sandbox.env, tmp_path / f"board-{name}") for name in names[:BY_COMMAND]]
    devices[:BY_COMMAND] = [
        CheapDevice(name=each.name, card=cards / each.name, state=each.state, environment={}) for each in boards
    ]

    with told("invited"):
        assert [row["state"] for row in fleet("invite", "--from", listed, "--cards", cards, "--json").json] == [
            "invited"
        ] * DEVICES
    assert len(fleet("list", "--prefix", prefix, "--state", "invited", "--json").json) == DEVICES

    with Watcher(cloud.iot, cloud.ledger, cloud.outputs["IotPolicy"]) as watcher:

        def enroll(device: CheapDevice) -> str:
            said = device.bootstrap()
            watcher.expect(device)
            return said

        with told(f"enrolled by the command: {BY_COMMAND}"):
            for board, device in zip(boards, devices, strict=False):
                token = token_of((cards / board.name / "zymkey-iot.toml").read_text())
                board.zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN=token or "")
                watcher.expect(device)

        rest = devices[BY_COMMAND:-QUEUED]
        with told(f"enrolled, {AT_A_TIME} at a time: {len(rest)}"):
            at_a_time(AT_A_TIME, enroll, rest)

        with told(f"enrolled after a queue: {QUEUED}"):
            queue_is_as_long_as(6, sandbox)
            ahead = time.monotonic() + 6
            waited = at_a_time(QUEUED, enroll, devices[-QUEUED:])
        assert time.monotonic() > ahead - 1, "nobody was let in before those that had come first"
        for said in waited.values():
            assert said.count("come first") == 1, f"it is told its place once, and comes back once: {said}"
            come_first = re.findall(r"([0-9]+) devices come first", said)[0]
            assert 10 < int(come_first) <= 70, "ten a second, and a second before its turn it is let in"

        with told("listed"):
            enrolled = fleet("list", "--prefix", prefix, "--state", "enrolled", "--json").json
            assert [each["name"] for each in enrolled] == names
            assert fleet("list", "--prefix", prefix, "--state", "invited", "--json").json == []

        with told("renewal asked for"):
            fleet("renew", "--prefix", prefix, "--yes")
        before = {device.name: device.certificate_id for device in devices}
        with told(f"renewed, {AT_A_TIME} at a time"):
            for board in boards:
                board.zymkey_iot("renew")
            at_a_time(AT_A_TIME, CheapDevice.renew, devices[BY_COMMAND:])
        assert not set(before.values()) & {device.certificate_id for device in devices}

        blocked = names[-DEVICES // 10 :]
        (tmp_path / "blocked.txt").write_text("\n".join(blocked))
        watcher.release(blocked)
        with told(f"blocked: {len(blocked)}"):
            fleet("block", "--from", tmp_path / "blocked.txt")

        with told("audited"):
            findings = fleet("audit", "--json", code=None).json
            assert [each for each in findings if each["device"] in names] == []

        with told(f"removed: {len(blocked)}"):
            fleet("remove", "--state", "blocked", "--prefix", prefix, "--yes")
        looks = watcher.looks
        assert watcher.looks > 3 or watcher.problems
    assert watcher.problems == []
    assert time.monotonic() - began < BOUND_SECONDS
    sys.stdout.write(f"{'together':<40} {time.monotonic() - began:6.1f} s; the watcher looked {looks} times\n")

    assert_they_agree(cloud, {device.name: device.certificate_id for device in devices}, set(blocked))
    # The watcher would have seen it.
    last = devices[-DEVICES // 10 - 1]
    cloud.iot.update_certificate(certificateId=last.certificate_id, newStatus="INACTIVE")
    assert [problem.partition(":")[0] for problem in watcher.look()] == [last.name]


def assert_they_agree(cloud: Cloud, certificates: dict[str, str | None], removed: set[str]) -> None:
    """What the ledger says of each device, and what AWS IoT has of it."""
    status = {
        each["certificateId"]: each["status"]
        for page in cloud.iot.get_paginator("list_certificates").paginate(pageSize=250)
        for each in page["certificates"]
    }
    known = {device.name: device for device in cloud.ledger.devices() if device.name in certificates}
    assert known.keys() == certificates.keys() - removed
    for name, certificate in certificates.items():
        if name in removed:
            assert status.keys().isdisjoint(each.certificate_id for each in cloud.ledger.certificates(name))
        else:
            device = known[name]
            assert (device.state, device.certificate_id) == (State.ENROLLED, certificate), name
            profile = cloud.ledger.device(name).profile  # which the listing does not have
            assert profile.attributes == {"number": str(int(name[-3:]))}
            assert status[certificate or ""] == "ACTIVE"
