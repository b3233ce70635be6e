"""Turns: one after another, as many in a second as AWS IoT registers, whatever the clocks say and whoever asks."""

import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from ledger import Ledger, Turns
from ledger.turns import EARLY, LATE
from tests.support.aws_faults import Faults
from tests.support.ledger import NOW

ROOT = Path(__file__).parents[3]
TEN = Turns(per_second=10)
MOMENT = NOW * 1_000


def taken(count, now=MOMENT, turns=TEN, counter=None):
    found = []
    for _ in range(count):
        turn, counter = turns.take(counter, now)
        found.append(turn)
    return found, counter


def test_as_many_come_in_each_second_as_aws_iot_registers_and_the_rest_is_told_when():
    turns, _ = taken(36)
    assert turns == [MOMENT + 101_011 * number // 1_000 for number in range(36)]
    assert [TEN.has_come(each, MOMENT) for each in turns] == [True] * 10 + [False] * 26
    assert [TEN.place(each, MOMENT) for each in turns] == list(range(36))
    assert [TEN.wait(each, MOMENT) for each in turns[11::12]] == [2, 3, 4]


@pytest.mark.parametrize("per_second", [1, 10, 15, 300])
def test_a_hundredth_of_the_quota_is_left_to_catch_up_with_who_came_late(per_second):
    turns = Turns(per_second=per_second)
    assert 0.985 * per_second < 1_000_000 / turns.interval <= 0.99 * per_second


@given(st.integers(1, 1000), st.lists(st.integers(0, 3_000), max_size=50))
def test_turns_are_never_faster_than_the_quota_nor_given_twice_and_calm_time_has_no_wait(per_second, pauses):
    turns, counter, now, found = Turns(per_second=per_second), None, MOMENT, []
    for pause in pauses:
        now += pause
        calm = counter is None or counter <= now * 1_000
        before = counter
        turn, counter = turns.take(counter, now)
        assert counter - max(before or 0, now * 1_000) == turns.interval
        assert not calm or (turn == now and turns.has_come(turn, now))
        arrives = now + 1_000 * turns.wait(turn, now)
        assert turns.has_come(turn, now) or turns.has_come(turn, arrives)
        found.append(turn)
    assert found == sorted(found)
    assert all(len([each for each in found if begin <= each < begin + 1_000]) <= per_second + 1 for begin in found)


def test_a_turn_lasts_an_hour_and_is_lost_then():
    assert not TEN.is_lost(MOMENT, MOMENT + LATE)
    assert TEN.is_lost(MOMENT, MOMENT + LATE + 1)
    assert TEN.has_come(MOMENT, MOMENT - EARLY)
    assert not TEN.has_come(MOMENT, MOMENT - EARLY - 1)


@pytest.mark.parametrize("per_second", [1, 10, 15, 300])
def test_the_counter_in_the_table_decides_as_the_pure_function_does(ledger, per_second):
    turns, counter = Turns(per_second=per_second), None
    for now in (MOMENT, MOMENT, MOMENT, MOMENT + 50, MOMENT + 5_000, MOMENT + 5_000, MOMENT + 5_100):
        turn, counter = turns.take(counter, now)
        assert ledger.take_turn(turns, now=now) == turn


def test_no_two_processes_get_one_turn_whatever_their_clocks(dynamodb, table):
    """Each with an opinion of its own on the time, and all at once: half a second apart nobody waits who need not."""
    ledgers = [Ledger(client=dynamodb, table=table) for _ in range(8)]
    clocks = [MOMENT + 125 * (number - 4) for number in range(8)]

    def take(number):
        return [ledgers[number].take_turn(TEN, now=clocks[number]) for _ in range(4)]

    with ThreadPoolExecutor(8) as pool:
        turns = sorted(each for found in pool.map(take, range(8)) for each in found)
    assert len(set(turns)) == 32
    assert min(after - before for before, after in itertools.pairwise(turns)) >= TEN.interval // 1_000
    assert turns[-1] <= max(clocks) + 3_300


def test_a_clock_that_is_ahead_makes_others_wait_no_longer_than_it_is_ahead(ledger):
    ledger.take_turn(TEN, now=MOMENT + 400)
    turn = ledger.take_turn(TEN, now=MOMENT)
    assert turn == MOMENT + 501
    assert TEN.has_come(turn, MOMENT)


@pytest.mark.parametrize("restored", [None, MOMENT * 1_000 - 60_000_000])
def test_a_counter_that_was_lost_or_is_restored_from_a_backup_begins_anew(ledger, dynamodb, table, restored):
    """Those who were told a turn keep it (it is the device's own), and nobody is told one that is past."""
    for _ in range(20):
        ledger.take_turn(TEN, now=MOMENT)
    key = {"pk": {"S": "turns"}, "sk": {"S": "turns"}}
    dynamodb.delete_item(TableName=table, Key=key)
    if restored is not None:
        dynamodb.put_item(TableName=table, Item={**key, "counter": {"N": str(restored)}})
    assert [ledger.take_turn(TEN, now=MOMENT) for _ in range(2)] == [MOMENT, MOMENT + 101]


def test_a_counter_that_is_deleted_as_the_runbook_says_begins_anew(ledger, dynamodb, table):
    ledger.take_turn(TEN, now=MOMENT + 600_000)
    (key,) = re.findall(r"delete-item .* --key '(.*)'", (ROOT / "docs/runbook.md").read_text())
    dynamodb.delete_item(TableName=table, Key=json.loads(key))
    assert ledger.take_turn(TEN, now=MOMENT) == MOMENT


def test_one_item_takes_more_writes_than_the_api_lets_requests_through():
    """Two writes each, when all of them come to processes that have not seen the queue yet."""
    template = json.loads((ROOT / "tests/template/snapshots/kms-enrollment.json").read_text())
    (stage,) = (each for each in template["Resources"].values() if each["Type"] == "AWS::ApiGatewayV2::Stage")
    assert 2 * stage["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 1_000


def test_a_turn_costs_one_write_in_calm_time_and_in_a_queue(breakable_aws, table):
    client = breakable_aws("dynamodb")
    ledger, faults = Ledger(client=client, table=table), Faults()
    faults.watch(client)
    costs = []
    for now in [*range(MOMENT, MOMENT + 5_000, 1_000), *([MOMENT + 9_000] * 20)]:
        before = len(faults.calls)
        ledger.take_turn(TEN, now=now)
        costs.append(len(faults.calls) - before)
    assert set(faults.calls) == {"UpdateItem"}
    assert costs == [1] * 25


def test_another_process_learns_of_the_queue_by_one_write_more(breakable_aws, ledger, table):
    for _ in range(20):
        ledger.take_turn(TEN, now=MOMENT)
    client = breakable_aws("dynamodb")
    other, faults = Ledger(client=client, table=table), Faults()
    faults.watch(client)
    assert [other.take_turn(TEN, now=MOMENT) for _ in range(2)] == [MOMENT + 2_020, MOMENT + 2_121]
    assert len(faults.calls) == 3


@pytest.mark.parametrize("kind", ["throttled", "refused", "lost"])
def test_a_turn_that_could_not_be_taken_is_told_and_at_most_wasted(breakable_aws, table, kind):
    client = breakable_aws("dynamodb")
    ledger, faults = Ledger(client=client, table=table), Faults(position=0, kind=kind)
    faults.watch(client)
    with pytest.raises(Exception) as told:
        ledger.take_turn(TEN, now=MOMENT)
    if kind == "throttled":
        assert isinstance(told.value, ClientError)
    assert ledger.take_turn(TEN, now=MOMENT) == MOMENT + (101 if kind == "lost" else 0)
