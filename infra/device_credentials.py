"""AWS credentials for devices' programs: a role, and the role alias by which AWS IoT gives devices its credentials.

https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
"""

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from constructs import Construct

from infra.credential_settings import CredentialSettings, role_alias


class DeviceCredentials(Construct):
    """Neither is retained: they hold no state, and what stayed behind would go on allowing what the settings do not.

    Attributes:
        role_alias: its name. It is fixed, since devices have it in their configuration, and a deployment that is made
            again should serve them as before; it cannot collide with a retained one, because none is.
        role_arn: for policies of resources, such as an S3 bucket's.
    """

    def __init__(self, scope: Construct, construct_id: str, *, fleet: str, settings: CredentialSettings) -> None:
        super().__init__(scope, construct_id)

        role = iam.Role(
            self,
            "Role",
            description=f"What the devices of the fleet {fleet} may do in AWS",
            # AWS IoT's guide has no condition here, and nothing says that the credential provider sends these keys: a
            # condition on a key that is not sent would refuse every device. With IfExists it counts if it is sent. (A
            # role alias of another account cannot have this role: iam:PassRole ends at the account.)
            assumed_by=iam.ServicePrincipal(
                "credentials.iot.amazonaws.com",
                conditions={"StringEqualsIfExists": {"aws:SourceAccount": Stack.of(self).account}},
            ),
            managed_policies=[
                iam.ManagedPolicy.from_managed_policy_arn(self, f"Managed{position}", arn)
                for position, arn in enumerate(settings.managed_policy_arns)
            ],
            inline_policies={"Device": iam.PolicyDocument.from_json(settings.document())}
            if settings.statements
            else None,
            # A role alias's duration may not be longer; IAM takes no less than an hour.
            max_session_duration=Duration.seconds(max(settings.duration_seconds, 3600)),
        )
        self.role_alias = role_alias(fleet)
        self.role_arn = role.role_arn
        iot.CfnRoleAlias(
            self,
            "Alias",
            role_alias=self.role_alias,
            role_arn=role.role_arn,
            credential_duration_seconds=settings.duration_seconds,
        )
