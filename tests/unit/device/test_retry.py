"""When to try again, for how long to wait, and when to stop. Time here is counted, not spent."""

import pytest

from device.errors import Busy, DeviceError, EnrollmentRefused, Pending
from device.retry import LAST_LIMIT, retry


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
