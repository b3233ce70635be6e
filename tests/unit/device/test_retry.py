"""When to try again, for how long to wait, and when to stop. Time here is counted, not spent."""

import pytest

from device.errors import Busy, DeviceError, EnrollmentRefused, NoRoute, Pending, Queued
from device.retry import (
    AT_THE_BENCH,
    LAST_LIMIT,
    LONGEST_LIMIT,
    LONGEST_RETRY_AFTER,
    UNATTENDED,
    Deadline,
    Temperament,
    Waits,
    retry,
)


class Clock:
    """Sleeping moves it; nothing else does."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds


def run(errors: list[DeviceError], *, give_up_after: float) -> Clock:
    clock = Clock()

    def operation() -> None:
        if errors:
            raise errors.pop(0)

    try:
        retry(operation, give_up_after=give_up_after, on_wait=lambda *_: None, sleep=clock.sleep, clock=clock)
    except DeviceError as error:
        error.clock = clock  # type: ignore[attr-defined]
        raise
    return clock


def test_waits_are_jittered_under_a_limit_that_doubles_up_to_a_minute() -> None:
    runs = [run([NoRoute("none") for _ in range(9)], give_up_after=1e9).waits for _ in range(200)]

    for attempt in range(9):
        limit = min(2**attempt, LAST_LIMIT)
        waits = [waits[attempt] for waits in runs]
        assert max(waits) <= limit
        assert min(waits) < limit * 0.1 < limit * 0.9 < max(waits)


def test_each_wait_is_told_with_its_reason_before_it_begins() -> None:
    clock, told = Clock(), []
    errors: list[DeviceError] = [Busy("first"), Pending("second", retry_after=100)]
    reasons = list(errors)

    def operation() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    def tell(error: DeviceError, seconds: float) -> None:
        told.append((error, seconds, len(clock.waits)))

    assert retry(operation, give_up_after=1e9, on_wait=tell, sleep=clock.sleep, clock=clock) == "done"
    assert told == [(error, clock.waits[number], number) for number, error in enumerate(reasons)]


def longest_waits(temperament: Temperament, error: DeviceError, *, waited: float = 0, tries: int = 12) -> list[float]:
    """One after the other, where chance is at its worst; the clock stands still."""
    seconds = iter([0.0])
    waits = Waits(temperament, random=lambda: 1.0, clock=lambda: next(seconds, waited))
    return [waits.after(error) for _ in range(tries)]


@pytest.mark.parametrize("temperament", [AT_THE_BENCH, UNATTENDED])
def test_limits_grow_with_the_time_that_was_waited_already_up_to_a_quarter_of_an_hour(temperament: Temperament) -> None:
    no_route = NoRoute("none")

    assert longest_waits(temperament, no_route)[:7] == [1, 2, 4, 8, 16, 32, 60], "a router that boots"
    assert longest_waits(temperament, no_route, waited=1200)[-1] == 300
    assert longest_waits(temperament, no_route, waited=86400)[-1] == LONGEST_LIMIT == 15 * 60


def test_a_busy_cloud_is_asked_again_within_seconds_by_a_person_and_within_minutes_by_a_service() -> None:
    busy = Busy("429")

    assert longest_waits(AT_THE_BENCH, busy)[:7] == [2, 4, 8, 16, 32, 60, 60]
    assert longest_waits(UNATTENDED, busy)[:4] == [300, 600, 900, 900]


def test_an_answer_with_retry_after_begins_the_backoff_anew() -> None:
    waits = Waits(UNATTENDED, random=lambda: 1.0, clock=lambda: 0.0)
    before = [waits.after(Busy("429")) for _ in range(3)]

    waits.after(Pending("not yet", retry_after=100))

    assert [waits.after(Busy("429")) for _ in range(3)] == before


def test_a_benchmark_can_hold_a_million_of_them() -> None:
    assert not hasattr(Waits(), "__dict__")


def test_a_moment_in_a_queue_of_hours_is_kept_within_seconds() -> None:
    waits = [run([Pending("not yet", retry_after=4 * 3600)], give_up_after=1e9).waits[0] for _ in range(200)]

    assert 4 * 3600 <= min(waits) < max(waits) <= 4 * 3600 + 10


def test_a_turn_is_kept_to_the_second_because_nobody_else_has_it() -> None:
    turn = Queued("1,200 come first", come_first=1200, until="2026-11-25T20:41:05+00:00", cure="wait", retry_after=120)
    assert run([turn], give_up_after=1e9).waits == [120]


def test_who_is_turned_away_when_their_turn_has_come_asks_again_within_seconds() -> None:
    turn = Queued("2 come first", come_first=2, until="2026-11-25T20:41:05+00:00", cure="wait", retry_after=1)
    waits = Waits(UNATTENDED, random=lambda: 1.0, clock=lambda: 0.0)
    assert waits.after(Busy("429")) == UNATTENDED.busy
    waits.after(turn)
    assert [waits.after(Busy("429")) for _ in range(3)] == [2, 4, 8]
    assert waits.after(Busy("503", retry_after=5)) == 5.5
    assert waits.after(Busy("429")) == 2


def test_nobody_waits_for_hours_only_to_come_too_early() -> None:
    with pytest.raises(Pending) as given_up:
        run([Pending("in 9 h", retry_after=9 * 3600)], give_up_after=7 * 3600)
    assert given_up.value.clock.waits == []  # type: ignore[attr-defined]


def test_retry_after_is_honoured_and_spread_a_little() -> None:
    waits = [run([Pending("not yet", retry_after=100)], give_up_after=1e9).waits[0] for _ in range(200)]

    assert 100 <= min(waits) < 101
    assert 109 < max(waits) <= 110


def test_it_ends_before_a_wait_that_would_be_too_long() -> None:
    with pytest.raises(Pending) as given_up:
        run([Pending("not yet", retry_after=10) for _ in range(9)], give_up_after=25)

    clock: Clock = given_up.value.clock  # type: ignore[attr-defined]
    assert len(clock.waits) == 2
    assert clock.seconds <= 25


def test_what_will_not_go_away_is_not_tried_again() -> None:
    with pytest.raises(EnrollmentRefused) as refused:
        run([EnrollmentRefused("no")], give_up_after=1e9)
    assert refused.value.clock.waits == []  # type: ignore[attr-defined]


def test_no_patience_means_one_try() -> None:
    with pytest.raises(Busy):
        run([Busy("busy", retry_after=1)], give_up_after=0)


@pytest.mark.parametrize("asked", [0, 0.0, -5, -1e300, float("-inf"), float("nan"), 0.01])
def test_a_retry_after_that_is_none_makes_nobody_ask_without_a_pause(asked: float) -> None:
    runs = [run([Busy("busy", retry_after=asked) for _ in range(9)], give_up_after=1e9).waits for _ in range(100)]

    assert all(wait >= 0 for waits in runs for wait in waits)
    assert max(waits[0] for waits in runs) <= AT_THE_BENCH.busy
    assert max(waits[8] for waits in runs) > AT_THE_BENCH.busy * 20, "the waits grow"


@pytest.mark.parametrize("asked", [1e9, 1e300, float("9" * 400), float("inf")])
def test_no_server_puts_a_device_to_sleep_for_ever(asked: float) -> None:
    (wait,) = run([Pending("not yet", retry_after=asked)], give_up_after=float("inf")).waits

    assert LONGEST_RETRY_AFTER <= wait <= LONGEST_RETRY_AFTER + 10
    assert wait <= 6 * 3600 + 10, "the timer looks every six hours"


def test_a_deadline_is_one_for_all_that_happens_before_it() -> None:
    clock = Clock()
    deadline = Deadline(100, clock=clock)

    assert (deadline.left(), deadline.left(20)) == (100, 20)
    clock.sleep(90)
    assert (deadline.left(), deadline.left(20)) == (10, 10)
    clock.sleep(90)
    assert deadline.left() == 0
    assert Deadline(float("inf"), clock=clock).left(120) == 120
