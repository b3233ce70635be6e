"""The cloud of benchmarks/herd.py answers as the functions do: the same requests at the same moments to both."""

import random

import pytest

from benchmarks.herd_model.cloud import Cloud
from benchmarks.herd_model.scenario import LIMITS
from benchmarks.herd_model.turns import EPOCH, TurnsInMemory
from benchmarks.herd_model.world import Chance
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate

HOUR = 3600


@pytest.fixture
def fleet(deploy):
    return deploy("kms", registrations_per_second=None)


class Both:
    """The functions with an AWS on loopback, and the model, at the same moment."""

    def __init__(self, fleet, monkeypatch, *, throttled=0.0):
        self._fleet, self._devices, self._now = fleet, {}, 0.0
        monkeypatch.setattr("tests.support.aws_functions.time.time", lambda: EPOCH + self._now)
        chance = Chance(throttled=throttled, lost=0)
        self._cloud = Cloud(100, LIMITS, queue=TurnsInMemory(), chance=chance, random=random.Random(1))  # noqa: S311

    def ask(self, device, at, *, faults=None, meanwhile=False):
        """What both answer: status, Retry-After, Zymkey-Place. ``meanwhile`` the model's cloud is not done yet."""
        self._now = at
        candidate = self._devices.get(device) or self._devices.setdefault(device, self._fleet.allow(Candidate()))
        reply = self._fleet.enroll(candidate, faults, with_token=False)
        of_functions = (reply.status, *(reply.headers.get(each) for each in ("Retry-After", "Zymkey-Place")))
        answers = []
        self._cloud.receive(device, at)
        self._cloud.answer_until(at + 0.001 if meanwhile else at + 10, answers.append)
        (answer,) = answers
        told = (None if each is None else str(each) for each in (answer.retry_after, answer.place))
        assert of_functions == (answer.status, *told)
        return reply

    def kill(self, device, at):
        """The functions' process is killed before it registers; the model's is at work."""
        self._now = at
        candidate = self._devices.setdefault(device, self._fleet.allow(Candidate()))
        with pytest.raises(Killed):
            self._fleet.enroll(candidate, Faults(operation="RegisterCertificate", kind="killed"), with_token=False)
        self._cloud.receive(device, at)
        self._cloud.answer_until(at + 0.001, lambda _: pytest.fail("an answer"))


def test_turns_are_told_and_kept_and_lost_as_by_the_functions(fleet, monkeypatch):
    both = Both(fleet, monkeypatch)
    first = [both.ask(device, 10 + device / 100) for device in range(14)]
    assert {each.status for each in first} == {200, 202}
    waiting = [device for device, reply in enumerate(first) if reply.status == 202]
    assert len(waiting) >= 2
    assert both.ask(0, 10.5).status == 200, "a certificate that is there is sent again"
    assert both.ask(waiting[-1], 10.2).status == 202, "too early"
    assert both.ask(waiting[0], 10 + first[waiting[0]].retry_after).status == 200
    assert both.ask(waiting[-1], 10 + 2 * HOUR).status == 200, "late, when nobody waits"
    crowd = [both.ask(device, 10 + 4 * HOUR) for device in range(20, 34)]
    late = next(device for device, reply in enumerate(crowd, 20) if reply.status == 202)
    [both.ask(device, 10 + 6 * HOUR) for device in range(40, 52)]
    assert both.ask(late, 10 + 6 * HOUR).status == 202, "a turn that was lost is a new one"


def test_a_request_that_another_one_works_for_is_told_how_long(fleet, monkeypatch):
    both = Both(fleet, monkeypatch)
    both.kill(1, 100.6)
    assert both.ask(1, 100.7, meanwhile=True).retry_after == 25


def test_a_throttled_registration_is_told_when_to_come_again(fleet, monkeypatch):
    both = Both(fleet, monkeypatch, throttled=1.0)
    throttled = Faults(operation="RegisterCertificate", kind="throttled")
    assert both.ask(1, 100.0, faults=throttled).status == 503
