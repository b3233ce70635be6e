"""One operation for many: order, bounded memory, what stops one and what stops all, Ctrl-C, pace."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from botocore.exceptions import ClientError

from fleet.aws_session import CONNECTIONS
from fleet.errors import Interrupted, NoCredentials, NotPermitted, Refused, Unreachable
from fleet.pace import Pace
from fleet.roles import policy_to_ask_for, running
from fleet.side_by_side import SideBySide
from ledger import Busy, WrongState


def error(code):
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "UpdateCertificate")


def outcomes(work, subjects, *, pauses=()):
    runner = SideBySide(work, pauses=pauses)
    return runner, list(runner.outcomes(subjects))


def test_results_are_in_the_order_of_the_input_and_work_is_side_by_side():
    at_work, most, lock = 0, 0, threading.Lock()

    def work(number):
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.05 if number % 7 == 0 else 0.002)
        with lock:
            at_work -= 1
        return number * 2

    _, found = outcomes(work, range(200))
    assert [(each.subject, each.result) for each in found] == [(n, 2 * n) for n in range(200)]
    assert 4 < most <= CONNECTIONS


def test_a_million_are_neither_read_nor_kept_at_once():
    read = 0

    def subjects():
        nonlocal read
        while read < 1_000_000:
            read += 1
            yield read

    farthest = 0
    runner = SideBySide(lambda number: number)
    for told, _ in enumerate(runner.outcomes(subjects())):
        farthest = max(farthest, read - told)
        if told == 3000:
            break
    assert farthest <= 16 * CONNECTIONS + 1


def test_what_fails_for_one_stops_no_other():
    def work(number):
        if number == 3:
            raise WrongState("There is no device 'pi-3'.")
        if number == 5:
            raise error("InvalidRequestException")
        return number

    runner, found = outcomes(work, range(10))
    assert runner.stopped_by is None
    assert [each.subject for each in found if each.failure] == [3, 5]
    assert isinstance(found[3].failure, Refused)


@pytest.mark.parametrize(("code", "kind"), [("ExpiredToken", NoCredentials), ("AccessDenied", NotPermitted)])
def test_what_would_fail_for_all_stops_all_after_what_had_begun(code, kind):
    begun = []

    def work(number):
        begun.append(number)
        if number == 50:
            raise error(code)
        return number

    with running("block"):
        runner, found = outcomes(work, range(100_000))
    assert isinstance(runner.stopped_by, kind)
    assert kind is not NotPermitted or "OperatorPolicyArn" in runner.stopped_by.cure
    assert len(begun) < 50 + 17 * CONNECTIONS
    assert {each.subject for each in found} == set(begun) - {50}, "nothing that was done remains untold"


def test_a_thread_knows_which_command_runs():
    with running("list"):
        _, found = outcomes(lambda _: policy_to_ask_for("Query"), [1])
    assert "ReaderPolicyArn" in found[0].result


@pytest.mark.parametrize("reason", [error("ThrottlingException"), Busy(1)])
def test_what_may_work_later_is_tried_again(reason):
    tries = []

    def work(number):
        tries.append(number)
        if tries.count(number) < 3:
            raise reason
        return number

    runner, found = outcomes(work, range(3), pauses=(0.001, 0.001))
    assert (runner.stopped_by, [each.result for each in found]) == (None, [0, 1, 2])
    _, (again,) = outcomes(work, [7], pauses=(0.001,))
    assert isinstance(again.failure, Unreachable)


def test_a_cloud_that_does_not_answer_is_not_asked_for_every_device():
    tries = []

    def work(number):
        tries.append(number)
        raise error("InternalServerError")

    runner, _ = outcomes(work, range(100_000))
    assert isinstance(runner.stopped_by, Unreachable)
    assert len(tries) < 4 * CONNECTIONS


def test_a_failure_while_the_devices_are_read_leaves_none_untold():
    def subjects():
        yield from range(5)
        raise error("ThrottlingException")

    runner, found = outcomes(lambda number: number, subjects())
    assert [each.result for each in found] == list(range(5))
    assert isinstance(runner.stopped_by, Unreachable)


def test_a_defect_comes_out_as_what_it_is():
    def work(number):
        if number == 3:
            raise ZeroDivisionError("of ours")
        return number

    with pytest.raises(ZeroDivisionError, match="of ours"):
        outcomes(work, range(10))


@pytest.fixture
def ours(monkeypatch):
    """Ctrl-C raises here, as in any process of its own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_lets_end_what_has_begun_and_begins_nothing_else(ours):
    ended = []

    def work(number):
        if number == 20:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        ended.append(number)
        return number

    runner, found = outcomes(work, range(100_000))
    assert isinstance(runner.stopped_by, Interrupted)
    assert len(ended) < 20 + 3 * CONNECTIONS
    assert [each.subject for each in found] == sorted(ended)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_devices_are_waited_for_ends_the_waiting(ours):
    def subjects():
        yield from range(3)
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(20)
        yield 4

    since = time.monotonic()
    runner, found = outcomes(lambda number: number, subjects())
    assert time.monotonic() - since < 5
    assert isinstance(runner.stopped_by, Interrupted)
    assert [each.subject for each in found] == [0, 1, 2]


TWICE = """
import os, signal, threading, time
from fleet.side_by_side import SideBySide
signal.signal(signal.SIGINT, signal.default_int_handler)
def work(number):
    if number == 0:
        os.kill(os.getpid(), signal.SIGINT)
        while runner.stopped_by is None:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
runner = SideBySide(work)
try:
    list(runner.outcomes(range(100)))
except KeyboardInterrupt:
    print("left at once")
"""


def test_ctrl_c_twice_leaves_at_once():
    since = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout) == (0, "left at once\n"), ended.stderr
    assert time.monotonic() - since < 15


def test_the_pace_is_even_and_the_first_call_waits_for_nothing():
    now, slept = 100.0, []

    def sleep(seconds):
        slept.append(round(seconds, 3))

    pace = Pace(10, clock=lambda: now, sleep=sleep)
    for _ in range(4):
        pace.wait()
    assert slept == [0.1, 0.2, 0.3]
    now += 10  # a long rest saves up nothing
    pace.wait()
    pace.wait()
    assert slept[3:] == [0.1]
