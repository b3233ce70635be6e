"""A device that has its turn in the fleet's queue: what it says, and what it notes."""

import datetime
import json
import re

import pytest

from tests.support.device.diagnosis import Diagnose
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]


def queued(seconds: int, place: str = "1234") -> Answer:
    return Answer(202, b"Your turn comes.", {"Retry-After": str(seconds), "Zymkey-Place": place})


def test_place_and_time_are_told_and_the_turn_is_no_approval(est: EstServer, zymkey_iot: Command) -> None:
    est.answers = [queued(3600)]

    done = zymkey_iot("bootstrap")

    assert done.returncode == 7
    assert re.search(r"queue: 1,234 devices come first, and its turn is about [0-9: -]{8,19} UTC", done.stderr)
    assert "sudo zymkey-iot wait" in done.stderr
    assert "operator" not in done.stderr


@pytest.mark.parametrize(("place", "said"), [("0", "it comes next"), ("1", "1 device comes first")])
def test_few_are_counted_in_words(est: EstServer, zymkey_iot: Command, place: str, said: str) -> None:
    est.answers = [queued(3600, place)]

    assert said in zymkey_iot("bootstrap").stderr


@pytest.mark.parametrize("place", ["", "-1", "a", "9" * 13, "1e3", "\u0661"])
def test_a_place_that_is_no_number_is_none(est: EstServer, zymkey_iot: Command, place: str) -> None:
    est.answers = [queued(3600, place.encode().decode("latin-1"))]

    done = zymkey_iot("bootstrap")

    assert (done.returncode, "queue" in done.stderr) == (7, False)


def test_programs_get_place_and_time(est: EstServer, zymkey_iot: Command) -> None:
    est.answers = [queued(3600)]
    before = datetime.datetime.now(datetime.UTC)

    error = json.loads(zymkey_iot("bootstrap", "--json").stdout)

    assert (error["error"], error["exitCode"], error["place"]) == ("queued", 7, 1234)
    assert 3590 < (datetime.datetime.fromisoformat(error["until"]) - before).total_seconds() < 3610


def test_a_short_queue_is_waited_for(est: EstServer, zymkey_iot: Command) -> None:
    est.answers = [queued(1, "10")]

    done = zymkey_iot("bootstrap")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("10 devices come first") == 1, "one line, and none for each second"


def test_status_and_doctor_say_until_when(est: EstServer, zymkey_iot: Command, diagnose: Diagnose) -> None:
    est.answers = [queued(3600)]
    assert zymkey_iot("bootstrap").returncode == 7

    shown, document = zymkey_iot("status").stdout, json.loads(zymkey_iot("status", "--json").stdout)
    finding = diagnose("--only", "enrollment")

    assert re.search(r"queue .*1,234 devices came first, and its turn is about 20[0-9: -]{17} UTC", shown)
    assert document["queue"]["place"] == 1234
    assert "waits in its queue: 1,234 devices came first" in finding.text("enrollment")
    assert zymkey_iot("bootstrap").returncode == 0
    assert json.loads(zymkey_iot("status", "--json").stdout)["queue"] is None


@pytest.mark.parametrize("turn", [None, 7, {}, {"place": "x", "until": "y"}, {"place": 1, "until": "2026-01-01"}])
def test_a_noted_turn_that_is_none_or_long_past_is_not_told(
    pi: Pi, est: EstServer, zymkey_iot: Command, turn: object
) -> None:
    est.answers = [queued(3600)]
    assert zymkey_iot("bootstrap").returncode == 7
    noted = json.loads((pi.state / "candidate.json").read_text())
    for wrong in (turn, {"place": 1, "until": "2026-01-01T00:00:00+00:00"}):
        (pi.state / "candidate.json").write_text(json.dumps({**noted, "turn": wrong}))
        assert json.loads(zymkey_iot("status", "--json").stdout)["queue"] is None
    assert zymkey_iot("bootstrap").returncode == 0
