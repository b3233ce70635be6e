"""End-to-end tests: the deployed app, the simulated Zymkey, the real commands."""

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
