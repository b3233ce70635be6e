"""Keep the IoT policy of an earlier deployment as the settings have it: the custom resource behind ``adopt``.

The policy is attached to the certificates of devices in the field. A change makes a new version of it, as
CloudFormation does with a policy of its own; a deletion of the stack leaves it as it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

_MAX_VERSIONS = 5  # of a policy (AWS IoT Core quotas)


class AdoptedPolicyError(Exception):
    """There is no such policy. CloudFormation shows the sentence and rolls back."""


def answer(event: dict[str, Any], *, iot: IoTClient) -> dict[str, Any]:
    """Answer one event of CDK's provider framework.

    Properties: PolicyName, PolicyDocument (JSON). An event that comes again changes nothing.

    Raises:
        AdoptedPolicyError: AWS IoT has no policy of this name.
        ClientError: AWS refused. Either fails the deployment.
    """
    name = event["ResourceProperties"]["PolicyName"]
    if event["RequestType"] != "Delete":
        _write(name, event["ResourceProperties"]["PolicyDocument"], iot)
    return {"PhysicalResourceId": event.get("PhysicalResourceId") or f"adopted-policy/{name}"}


def _write(name: str, document: str, iot: IoTClient) -> None:
    try:
        current = iot.get_policy(policyName=name)["policyDocument"]
    except iot.exceptions.ResourceNotFoundException:
        raise AdoptedPolicyError(
            f"AWS IoT has no policy {name!r}, which the setting adopt.iotPolicy names; `zymkey-fleet adopt` prints the "
            "name of the policy that the fleet's devices have."
        ) from None
    if json.loads(current) == json.loads(document):
        return
    versions = iot.list_policy_versions(policyName=name)["policyVersions"]
    others = sorted((each["versionId"] for each in versions if not each["isDefaultVersion"]), key=int)
    for version in others[: max(0, len(versions) - _MAX_VERSIONS + 1)]:
        iot.delete_policy_version(policyName=name, policyVersionId=version)
    iot.create_policy_version(policyName=name, policyDocument=document, setAsDefault=True)
