"""Whose a resource is: the tag that IAM conditions of this deployment look at."""

from aws_cdk import CfnTag

# ``aws:ResourceTag/zymkey-fleet`` in a policy restricts an action to what this fleet has declared.
FLEET_TAG = "zymkey-fleet"
# A role with this tag, whose value is the fleet's name, may sign with a CA's key if IAM allows it to.
SIGNS_TAG = "zymkey-fleet-signs"


def fleet_tag(fleet: str) -> CfnTag:
    return CfnTag(key=FLEET_TAG, value=fleet)


def only_of_fleet(fleet: str) -> dict[str, dict[str, str]]:
    """The condition of a policy statement that is only about what has the fleet's tag."""
    return {"StringEquals": {f"aws:ResourceTag/{FLEET_TAG}": fleet}}
