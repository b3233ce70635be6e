"""A deployment of each issuer, made of the emulator's AWS alone: no template, no Lambda, no IAM."""

import pytest

from tests.support.functions_deployed import authority, deploy, iot_policy, kms_authority

__all__ = ["authority", "deploy", "iot_policy", "kms_authority"]


@pytest.fixture(params=["kms"])
def issuer(request):
    """Who signs. Another one for a test: `@pytest.mark.parametrize("issuer", ["aws"], indirect=True)`."""
    return request.param


@pytest.fixture
def fleet(deploy, issuer):
    return deploy(issuer)
