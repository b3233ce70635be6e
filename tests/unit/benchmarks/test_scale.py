"""The arithmetic for a million devices, and the goals, on figures that a person can check."""

import pytest

from audit import iot
from audit.things import _PAGE_SIZE
from benchmarks.costs import TABLE_BYTES
from benchmarks.processes import Cost
from benchmarks.scale.__main__ import AUDIT, SHOW, Run, missed
from benchmarks.scale.arithmetic import DELETED_A_SECOND, PAGE, at_a_million, daily_audit_seconds
from functions.audit_run import _TO_KEEP_SECONDS
from functions.deletion import _SECONDS_EACH


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


# Lambda's 15 minutes, without the time in which the record is kept.
DAILY_AUDIT_SECONDS = 900 - _TO_KEEP_SECONDS


@pytest.mark.parametrize(
    "fleet",
    [
        # The year's renewals are deleted as they come, 300 a day; and in the worst month ten times as many.
        {"devices": 100_000, "registered": 1.2, "deleted": 300},
        {"devices": 100_000, "registered": 2.0, "differing": 0.01, "deleted": 2_000},
        # Whatever earlier releases have left in ten years of yearly renewals.
        {"devices": 100_000, "registered": 10.0},
        {"devices": 1_000_000, "registered": 1.2},
    ],
    ids=str,
)
def test_the_daily_audit_has_time_for_a_hundred_thousand_devices_and_for_a_million_in_order(fleet):
    assert daily_audit_seconds(table_bytes=TABLE_BYTES, **fleet) < DAILY_AUDIT_SECONDS


def test_the_pages_and_the_pace_of_the_arithmetic_are_those_of_the_audit():
    assert iot._PAGE_SIZE == _PAGE_SIZE == PAGE
    assert 1 / _SECONDS_EACH == DELETED_A_SECOND


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
