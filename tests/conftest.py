"""Of all tests."""

import gc


def pytest_collection_finish() -> None:
    """What was imported to collect the tests is no garbage: to look at it again and again takes a tenth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
