"""Whose a resource is: the tag that IAM conditions of this deployment look at."""

from aws_cdk import CfnTag

# ``aws:ResourceTag/zymkey-fleet`` in a policy restricts an action to what this fleet has declared.
FLEET_TAG = "zymkey-fleet"


def fleet_tag(fleet: str) -> CfnTag:
    return CfnTag(key=FLEET_TAG, value=fleet)
