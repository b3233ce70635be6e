"""Of all tests."""

import gc
import os

from hypothesis import settings

# No test fails for being slow: other tests run at the same time. `make test-slow` tries 50 times as many examples.
settings.register_profile("sample", deadline=None)
settings.register_profile("thorough", max_examples=5_000, deadline=None)

# This machine's systemd, if it runs one, is not the tests': its own commands then leave it alone, and so do ours.
os.environ["SYSTEMD_OFFLINE"] = "1"


def pytest_collection_finish() -> None:
    """What was imported to collect the tests is no garbage: to look at it again and again takes a tenth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
