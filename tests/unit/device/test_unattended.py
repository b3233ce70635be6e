"""The service's bootstrap, which nobody looks on: it never gives up, and its renewal comes back at its turn."""

import configparser
import datetime
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from device import retry, service, steps, unattended
from device.candidate import Candidate, Turn
from device.report import Report
from device.settings import RENEWAL_GIVES_UP_AFTER, Settings
from device.store import StateFolder
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi
from tests.support.fork_server import REPOSITORY

__all__ = ["zymkey_iot"]

SERVICE = {"ZYMKEY_IOT_UNATTENDED": "true", "ZYMKEY_IOT_FIRST_WAIT": "0s"}
UNITS = Path(service.__file__).with_name("units")


class Clock:
    """Sleeping moves it, and does `meanwhile`, once; nothing else does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []
        self.meanwhile: Callable[[], object] | None = None
        monkeypatch.setattr("device.retry.Deadline.__init__.__kwdefaults__", {"clock": lambda: self.seconds})
        changed = {"clock": lambda: self.seconds, "sleep": self.sleep}
        defaults = {**(retry.retry.__kwdefaults__ or {}), **changed}
        monkeypatch.setattr("device.retry.retry.__kwdefaults__", defaults)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            act()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def queued(seconds: int) -> Answer:
    return Answer(202, b"", {"Retry-After": str(seconds), "Zymkey-Place": "360"})


def test_it_outlasts_everything_that_may_go_away_with_two_signatures(
    est: EstServer, zymkey_iot: Command, clock: Clock
) -> None:
    a_day = 24 * 60 * 60
    answers = [Answer(429)] * 60 + [Answer(401), Answer(403), Answer(200, b"<html>a captive portal</html>")] * 20
    est.answers = [*answers, queued(a_day), queued(a_day - 6 * 3600), Answer(202, b"", {"Retry-After": "30"})]

    done = zymkey_iot("bootstrap", "--json", **SERVICE)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["signatures"] == 2
    assert len(est.enrollments) == len(clock.waits) + 1 == 124
    assert max(clock.waits[:60]) <= 900
    assert max(clock.waits[60:120]) <= 3600
    assert [round(wait) // 30 for wait in clock.waits[120:]] == [720, 720, 1], "six hours twice, and 30 s"


def test_a_busy_cloud_has_minutes_at_once_and_a_refusal_an_hour_in_the_end() -> None:
    waits = retry.Waits(retry.UNATTENDED, random=lambda: 1.0, clock=lambda: 0.0)

    assert [waits.next(busy=True) for _ in range(3)] == [300, 600, 900]
    waits = retry.Waits(retry.UNATTENDED, random=lambda: 1.0, clock=lambda: 0.0)
    assert [waits.next(refused=True) for _ in range(6)] == [180, 360, 720, 1440, 2880, 3600]


def test_each_try_reads_the_settings_anew(est: EstServer, zymkey_iot: Command, clock: Clock, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("wrong")
    est.answers = [Answer(401)]
    clock.meanwhile = lambda: token.write_text("right")

    done = zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN_FILE=str(token), **SERVICE)

    assert done.returncode == 0, done.stderr
    assert [asked.credentials for asked in est.enrollments] == ["pi-7:wrong", "pi-7:right"]
    assert "zymkey-fleet invite pi-7" in done.stdout, "the journal says what to do"


def test_settings_that_are_wrong_at_the_start_end_it_and_a_key_that_fails_ends_this_process(
    zymkey_iot: Command, clock: Clock, tmp_path: Path
) -> None:
    nothing = str(tmp_path / "nothing")

    assert zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN_FILE=nothing, **SERVICE).returncode == 2
    assert zymkey_iot("bootstrap", ZYMKEY_IOT_KEY="file:/nowhere/key.pem", **SERVICE).returncode in (3, 11)
    assert clock.waits == []


def test_settings_that_become_wrong_while_it_waits_may_be_corrected(
    est: EstServer, zymkey_iot: Command, clock: Clock, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("wrong")
    est.answers = [Answer(401)]

    def spoil() -> None:
        token.unlink()
        clock.meanwhile = lambda: token.write_text("right")

    clock.meanwhile = spoil

    done = zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN_FILE=str(token), **SERVICE)

    assert done.returncode == 0, done.stderr
    assert [asked.credentials for asked in est.enrollments] == ["pi-7:wrong", "pi-7:right"]
    assert "cannot be read: No such file" in done.stdout
    assert len(clock.waits) == 2


def test_a_person_who_holds_the_folder_at_its_next_try_does_not_end_it(
    pi: Pi, est: EstServer, zymkey_iot: Command, clock: Clock
) -> None:
    est.answers = [queued(7200)]
    with ExitStack() as person:

        def hold() -> None:
            person.enter_context(StateFolder(pi.state).locked())
            clock.meanwhile = person.close

        clock.meanwhile = hold
        done = zymkey_iot("bootstrap", **SERVICE)

    assert done.returncode == 0, done.stderr
    assert "another zymkey-iot is running" in done.stdout
    assert len(clock.waits) == 2


def test_a_person_may_limit_its_time(est: EstServer, zymkey_iot: Command, clock: Clock) -> None:
    est.answers = [Answer(429)] * 1000

    assert zymkey_iot("bootstrap", ZYMKEY_IOT_GIVE_UP_AFTER="2h", **SERVICE).returncode == 8
    assert 3600 < clock.seconds <= 7200


def test_a_person_may_bootstrap_by_hand_while_it_waits(
    pi: Pi, est: EstServer, zymkey_iot: Command, clock: Clock
) -> None:
    est.answers = [queued(7200)]
    ended: list[int] = []
    clock.meanwhile = lambda: ended.append(pi.run("bootstrap", ZYMKEY_IOT_UNATTENDED="").returncode)

    done = zymkey_iot("bootstrap", **SERVICE)

    assert (done.returncode, ended) == (0, [0]), done.stderr
    assert len(est.enrollments) == 2


def test_it_ends_at_once_when_it_is_told_to_and_goes_on_from_there(pi: Pi, est: EstServer) -> None:
    est.answers = [queued(7200)]
    process = subprocess.Popen(
        [sys.executable, "-m", "device", "bootstrap"],
        cwd=REPOSITORY,
        env={**os.environ, **pi.environment, **SERVICE},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any("360 devices come first" in line for line in process.stdout)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == -signal.SIGTERM
    process.stdout.close()
    assert time.monotonic() - began < 2
    assert pi.run("bootstrap").returncode == 0
    assert len({asked.body for asked in est.enrollments}) == 1


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    given = dict.fromkeys(
        ["token", "certificate", "ca_file", "endpoint", "https_port", "mqtt_port", "proxy", "no_proxy"]
    )
    return Settings(
        **given,  # type: ignore[arg-type]
        url="https://fleet.example",
        name="pi-7",
        key="file:",
        state=tmp_path,
        give_up_after=float("inf"),
        first_wait=60.0,
        tls="auto",
        on_renew=tmp_path,
        sources={},
    )


def test_only_power_on_has_a_first_wait(settings: Settings) -> None:
    def wait(since_power_on: float) -> float:
        return unattended.first_wait(settings, since_power_on=since_power_on, chance=lambda: 0.5)

    assert (wait(20), wait(unattended.POWER_ON)) == (30, 0)


@pytest.mark.parametrize(
    ("name", "hours", "expected"),
    [("pi-7", 2, 2), ("pi-7", 20, 6), ("pi-7", -0.5, 0), ("pi-7", 24 * 365, 0), ("another", 2, 0)],
)
def test_after_a_power_cut_it_comes_back_at_its_turn(
    settings: Settings, name: str, hours: float, expected: float
) -> None:
    turn = Turn(360, datetime.datetime.now(datetime.UTC) + timedelta(hours=hours))
    device = {"url": settings.url, "name": name}
    StateFolder(settings.state).keep_candidate(Candidate(device=device, turn=turn))

    waits = [unattended.first_wait(settings, since_power_on=seconds, chance=lambda: 0.0) for seconds in (20, 86400)]

    assert [round(wait / 3600, 2) for wait in waits] == [expected, expected]


def test_a_clock_that_is_set_while_it_waits_for_its_turn_counts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Pi's clock begins where it was at the last shutdown, until NTP sets it."""
    now = datetime.datetime.now(datetime.UTC)
    device = {"url": settings.url, "name": settings.name}
    StateFolder(settings.state).keep_candidate(Candidate(device=device, turn=Turn(360, now + timedelta(hours=2))))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            monkeypatch.setattr(Turn, "seconds", property(lambda _: 5.0))

    unattended.wait_for_first(settings, Report(stream=io.StringIO()), sleep=sleep)

    assert slept == [60, 60, 60, 5]


def test_a_warning_is_said_once_however_many_tries_there_are() -> None:
    said = io.StringIO()
    report = Report(stream=said)

    for _ in range(1000):
        report.warn("the token is on the card.")
        report.forget_steps()

    assert said.getvalue().count("\n") == 1


@pytest.fixture
def due(est: EstServer, zymkey_iot: Command) -> EstServer:
    """The cloud of a device whose renewal is due."""
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert zymkey_iot("bootstrap").returncode == 0
    est.valid_since = timedelta(0)
    est.issued.clear()
    return est


def test_a_renewal_waits_for_its_turn_and_has_its_time_afterwards(
    due: EstServer, endpoint: DataEndpoint, zymkey_iot: Command, clock: Clock
) -> None:
    due.answers = [queued(5 * 3600), queued(3600)]
    endpoint.refuse = ["end"] * 3

    done = zymkey_iot("renew", "--if-due", **SERVICE)

    assert done.returncode == 0, (done.stdout, done.stderr)
    assert 6 * 3600 <= clock.seconds < 6 * 3600 + 600


def test_a_renewal_whose_turn_is_later_ends_at_once_and_notes_it(
    due: EstServer, zymkey_iot: Command, clock: Clock
) -> None:
    due.answers = [queued(8 * 3600), queued(3600)]

    done = zymkey_iot("renew", "--if-due", **SERVICE)
    assert (done.returncode, clock.waits) == (7, [])
    assert "The old certificate stays in use" in done.stderr
    assert json.loads(zymkey_iot("status", "--json").stdout)["queue"]["place"] == 360
    assert zymkey_iot("renew").returncode == 7, "a person is told, and does not wait for an hour"
    assert clock.waits == []


def test_a_renewal_in_the_queue_lets_a_person_renew(pi: Pi, due: EstServer, zymkey_iot: Command, clock: Clock) -> None:
    due.answers = [queued(3600)]
    ended: list[int] = []
    clock.meanwhile = lambda: ended.append(pi.run("renew", ZYMKEY_IOT_UNATTENDED="").returncode)

    done = zymkey_iot("renew", "--if-due", **SERVICE)

    assert (done.returncode, ended) == (0, [0]), done.stderr


def seconds_of(unit: str, setting: str) -> int:
    (value,) = re.findall(rf"^{setting}=(\d+)(h|min)$", (UNITS / unit).read_text(), re.MULTILINE)
    return int(value[0]) * {"h": 3600, "min": 60}[value[1]]


def test_the_last_run_of_the_timer_before_a_turn_can_wait_for_it() -> None:
    assert "OnCalendar=*-*-* 00/6:00:00\n" in (UNITS / "zymkey-iot-renew.timer").read_text()
    apart = 6 * 3600 + seconds_of("zymkey-iot-renew.timer", "RandomizedDelaySec")

    assert apart < steps.TURN_WITHIN
    most = steps.TURN_WITHIN + RENEWAL_GIVES_UP_AFTER
    assert most < seconds_of("zymkey-iot-renew.service", "TimeoutStartSec")


@pytest.mark.parametrize("unit", ["zymkey-iot-bootstrap.service", "zymkey-iot-renew.service"])
def test_the_units_say_that_nobody_looks_on(unit: str) -> None:
    parser = configparser.ConfigParser(strict=False, allow_no_value=True, interpolation=None)
    parser.read_string((UNITS / unit).read_text())

    assert parser["Service"]["Environment"] == "ZYMKEY_IOT_UNATTENDED=true"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_counts_down_and_nowhere_else() -> None:
    terminal = Terminal()
    report = Report(stream=terminal)

    report.count_down(1.2)

    shown = terminal.getvalue()
    assert re.findall(r"0:0\d", shown) == ["0:02", "0:01"]
    assert "\n" not in shown
    assert shown.endswith("\r\033[K")
    assert report.is_watched
    assert not Report(as_json=True, stream=Terminal()).is_watched
    assert not Report(stream=io.StringIO()).is_watched
