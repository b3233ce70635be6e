"""Whether the IoT policy that all devices have is the one that was declared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from audit.judgement import Finding, Kind

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

# In a digest, what every ARN begins with: only AWS knows account and Region when a template is made.
PREFIX = "~"


def digest_of(document: str, *, prefix: str) -> str:
    """SHA-256 of a policy document, in hexadecimal: the same however it is spaced, and wherever it is deployed.

    The digest and not the document goes to the function, whose environment holds 4,096 bytes in all.

    Args:
        prefix: ``arn:<partition>:iot:<region>:<account>``.
    """
    canonical = json.dumps(json.loads(document), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.replace(prefix, PREFIX).encode()).hexdigest()


def policy_findings(iot: IoTClient, *, name: str, declared: str) -> Iterator[Finding]:
    """Compare the default version, which is the one in effect. Calls iot:GetPolicy.

    Args:
        declared: the digest of the declared document; "" where it is not known.
    """
    if not declared:
        return
    try:
        policy = iot.get_policy(policyName=name)
    except iot.exceptions.ResourceNotFoundException:
        yield Finding(kind=Kind.POLICY_MISSING, detail=name)
        return
    prefix = policy["policyArn"].partition(":policy/")[0]
    if digest_of(policy["policyDocument"], prefix=prefix) != declared:
        yield Finding(kind=Kind.POLICY_DRIFTED, detail=f"{name}, version {policy['defaultVersionId']}")
