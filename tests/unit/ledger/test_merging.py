"""Sources that are read side by side are not read ahead, whoever is slow."""

import threading
import time

import pytest

from ledger.merging import merged


def test_everything_of_every_source_comes_once():
    assert sorted(merged(lambda: iter(range(5)), lambda: iter(range(5, 9)), lambda: iter(()))) == list(range(9))


def test_no_source_runs_ahead_of_a_slow_reader():
    """Memory is bounded by what waits: of a million pages, no more than two a source."""
    given = []

    def endless():
        while True:
            given.append(1)
            yield 1

    reader = merged(endless, endless)
    for count in range(1, 50):
        next(reader)
        assert len(given) <= count + 4
    time.sleep(0.1)
    assert len(given) <= 49 + 4
    reader.close()


def test_one_that_fails_ends_the_others_and_its_threads():
    before = threading.active_count()

    def endless():
        while True:
            yield 1

    def fails():
        yield 1
        raise OSError("broken on purpose")

    with pytest.raises(OSError, match="broken on purpose"):
        list(merged(endless, fails))
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
