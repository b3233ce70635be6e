"""A deployment whose functions and operator's command both run in this process."""

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
