"""The arithmetic for a million devices, and the goals, on figures that a person can check."""

import pytest

from benchmarks.processes import Cost
from benchmarks.scale.__main__ import AUDIT, SHOW, Run, missed
from benchmarks.scale.arithmetic import at_a_million


def test_a_scan_grows_with_the_table_and_lists_with_the_devices():
    calls = {"dynamodb:Scan": 8, "iot:ListCertificates": 4, "cloudformation:DescribeStacks": 1}
    million = at_a_million(calls, devices=1000, table_bytes=4_096_000, index_bytes=500_000, grows=True)
    # 4.096 GB: half a unit for 4,096 bytes, and 1 MB a call.
    assert million.read_units == 500_000
    assert million.calls == 4096 + 4000
    assert million.seconds == pytest.approx(400)
    assert million.usd == pytest.approx(0.0625)


def test_what_is_about_one_device_does_not_grow():
    calls = {"dynamodb:GetItem": 1, "dynamodb:Query": 1}
    assert at_a_million(calls, devices=1000, table_bytes=1, index_bytes=1, grows=False).calls == 2


def run(what=AUDIT, *, devices=10_000, wall=1.0, memory=80e6, scans=30):
    calls = {"dynamodb:Scan": scans, "iot:ListCertificates": 54}
    million = at_a_million(calls, devices=devices, table_bytes=1, index_bytes=1, grows=True)
    return Run(what=what, devices=devices, cost=Cost(1.0, int(memory), wall), calls=calls, at_a_million=million)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"wall": 61}, "61 s"),
        ({"scans": 401}, "401 calls"),
        ({"devices": 100_000, "memory": 201e6}, "201 MB"),
    ],
)
def test_a_goal_that_is_missed_is_told(changes, sentence):
    (told,) = missed(run(**changes))
    assert sentence in told


@pytest.mark.parametrize("changes", [{}, {"scans": 400, "wall": 60}, {"what": SHOW, "scans": 401}])
def test_goals_that_are_reached_say_nothing(changes):
    assert list(missed(run(**changes))) == []
