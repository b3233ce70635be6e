"""Of all tests."""

import gc
import os

# This machine's systemd, if it runs one, is not the tests': its own commands then leave it alone, and so do ours.
os.environ["SYSTEMD_OFFLINE"] = "1"


def pytest_collection_finish() -> None:
    """What was imported to collect the tests is no garbage: to look at it again and again takes a tenth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
