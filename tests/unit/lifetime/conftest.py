"""A deployment whose functions and operator's command both run in this process, in a Region of its own.

An audit reads all that a Region has: what other tests have left would take it most of its time.
"""

import pytest

from tests.support.fleet.command import operator_environment, run, sdk_models_are_read_once
from tests.support.functions_deployed import authority, deploy, iot_policy, kms_authority

__all__ = [
    "authority",
    "deploy",
    "iot_policy",
    "kms_authority",
    "operator_environment",
    "run",
    "sdk_models_are_read_once",
]

REGION = "eu-central-1"


@pytest.fixture(scope="session")
def aws(aws_in):
    return aws_in(REGION)


@pytest.fixture(scope="session")
def breakable_aws(breakable_aws_in):
    return breakable_aws_in(REGION)


@pytest.fixture
def region(operator_environment, monkeypatch):
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
