"""Tests of the sandbox itself: the simulated Zymkey, the data endpoint, what is enforced."""

from tests.support.cloud.running_sandbox import (
    _stopped_afterwards,
    device_env,
    faults,
    issuer,
    pytest_collection_modifyitems,
    pytest_xdist_make_scheduler,
    sandbox,
    unstarted,
    zymkey,
)

__all__ = [
    "_stopped_afterwards",
    "device_env",
    "faults",
    "issuer",
    "pytest_collection_modifyitems",
    "pytest_xdist_make_scheduler",
    "sandbox",
    "unstarted",
    "zymkey",
]
