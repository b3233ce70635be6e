"""The people of the sandbox's fleet: IAM users with one of the fleet's managed policies, and no administrators.

``zymkey-fleet`` runs as its operator, so that a permission that is missing from the template shows here and not on AWS.
"""

from typing import TYPE_CHECKING

from .permissions import adapt_user

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

USER = "operator"


def ensure_person(iam: "IAMClient", policy_arn: str, *, user: str = USER) -> dict[str, str]:
    """Give the user this policy alone and new credentials; return the credentials as AWS SDK variables."""
    try:
        iam.create_user(UserName=user)
    except iam.exceptions.EntityAlreadyExistsException:
        for attached in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]:
            iam.detach_user_policy(UserName=user, PolicyArn=attached["PolicyArn"])
        for old in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=user, AccessKeyId=old["AccessKeyId"])
    iam.attach_user_policy(UserName=user, PolicyArn=policy_arn)
    adapt_user(iam, user, policy_arn)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
