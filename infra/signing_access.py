"""Who may sign with a CA's key: what the key's own policy denies to everybody else, whatever IAM allows them.

The roles have names that CloudFormation makes, and one of them is in a stack that does not exist yet when the key is
made. So the policy knows them by a tag. Who may change the key's policy, or make and tag roles, can let themselves in:
the account's administrators. CloudTrail has both.
"""

from aws_cdk import Stack, Tags
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from infra.fleet_tag import SIGNS_TAG

_SIGN = "kms:Sign"
# What ``pki.kms_key`` sends.
_SENT = {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "DIGEST"}

# CloudFormation makes a role's name of the stack's name, the logical id and 12 random characters, 64 characters in all.
# Names too long are cut to 25 characters each, and were cut to 24: seen, not documented.
_SURELY_KEPT = 24


def tag_as_signer(role: iam.Role, *, fleet: str) -> None:
    Tags.of(role).add(SIGNS_TAG, fleet)


def deny_others_to_sign(key: kms.Key, *, fleet: str, enrollment_stack: str) -> None:
    """Let only the fleet's functions sign, and only what they sign.

    Deployments of the first release have an enroll function whose role has no tag until the stack of that function is
    updated, after the key's. So its role is known by the beginning of its name, too.
    """
    everybody = iam.StarPrincipal()
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="OnlyTheFleetsFunctionsSign",
            effect=iam.Effect.DENY,
            principals=[everybody],
            actions=[_SIGN],
            resources=["*"],
            conditions={
                "StringNotEquals": {f"aws:PrincipalTag/{SIGNS_TAG}": fleet},
                "ArnNotLike": {"aws:PrincipalArn": _enroll_role(key, enrollment_stack)},
            },
        )
    )
    for condition, value in _SENT.items():
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid=f"Only{condition.partition(':')[2]}",
                effect=iam.Effect.DENY,
                principals=[everybody],
                actions=[_SIGN],
                resources=["*"],
                # Null: a key that a request does not have must not lock the fleet out.
                conditions={"StringNotEquals": {condition: value}, "Null": {condition: "false"}},
            )
        )


def _enroll_role(key: kms.Key, enrollment_stack: str) -> str:
    """A pattern for the ARN of the enroll function's role, the logical id being ``EnrollExecutionRole`` and a hash."""
    kept = enrollment_stack if len(enrollment_stack) <= _SURELY_KEPT else f"{enrollment_stack[:_SURELY_KEPT]}*"
    return Stack.of(key).format_arn(
        service="iam", region="", resource="role", resource_name=f"{kept}-EnrollExecutionRole*"
    )
