"""When to try again, for how long to wait, and when to stop. Time here is counted, not spent."""

import pytest

from device.errors import Busy, DeviceError, EnrollmentRefused, Pending
from device.retry import FIRST_LIMIT, LAST_LIMIT, LONGEST_RETRY_AFTER, Deadline, retry


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
    runs = [run([Busy("busy") for _ in range(9)], give_up_after=1e9).waits for _ in range(200)]

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
    assert max(waits[0] for waits in runs) <= FIRST_LIMIT
    assert max(waits[8] for waits in runs) > FIRST_LIMIT * 20, "the waits grow"


@pytest.mark.parametrize("asked", [1e9, 1e300, float("9" * 400), float("inf")])
def test_no_server_puts_a_device_to_sleep_for_ever(asked: float) -> None:
    (wait,) = run([Pending("not yet", retry_after=asked)], give_up_after=float("inf")).waits

    assert LONGEST_RETRY_AFTER <= wait <= LONGEST_RETRY_AFTER * 1.1
    assert wait <= 1.1 * 6 * 3600, "the timer looks every six hours"


def test_a_deadline_is_one_for_all_that_happens_before_it() -> None:
    clock = Clock()
    deadline = Deadline(100, clock=clock)

    assert (deadline.left(), deadline.left(20)) == (100, 20)
    clock.sleep(90)
    assert (deadline.left(), deadline.left(20)) == (10, 10)
    clock.sleep(90)
    assert deadline.left() == 0
    assert Deadline(float("inf"), clock=clock).left(120) == 120
