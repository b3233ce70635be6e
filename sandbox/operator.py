"""The operator of the sandbox's fleet: an IAM user with the fleet's operator policy, and no administrator.

``zymkey-fleet`` runs as this user, so that a permission that is missing from the template shows here and not on AWS.
"""

from typing import TYPE_CHECKING

from .permissions import adapt_user

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

USER = "operator"


def ensure_operator(iam: "IAMClient", policy_arn: str) -> dict[str, str]:
    """Give the user this policy alone and new credentials; return the credentials as AWS SDK variables."""
    try:
        iam.create_user(UserName=USER)
    except iam.exceptions.EntityAlreadyExistsException:
        for attached in iam.list_attached_user_policies(UserName=USER)["AttachedPolicies"]:
            iam.detach_user_policy(UserName=USER, PolicyArn=attached["PolicyArn"])
        for old in iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=USER, AccessKeyId=old["AccessKeyId"])
    iam.attach_user_policy(UserName=USER, PolicyArn=policy_arn)
    adapt_user(iam, USER, policy_arn)
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
