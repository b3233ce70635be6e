"""End-to-end tests: the deployed app, the simulated Zymkey, the real commands."""

import pytest

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

# So that a step that fails there shows what it compared, as it does in a file of tests.
pytest.register_assert_rewrite("tests.end_to_end.live_deployment")
