"""What goes before each registration of a CA, so that no deployment makes a retired CA ACTIVE that nobody declared."""

from collections.abc import Mapping

from aws_cdk import CustomResource, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.bundled_function import FunctionDefaults
from infra.custom_resource_provider import CustomResourceProvider
from infra.registration_access import SHOWN_ARN, iot_arn


class DeclaredStatus(CustomResourceProvider):
    """One function for all CAs of the stack; ``functions/declared_status.py`` says what it refuses.

    Deployments of the first release have nothing of it: the update that brings it asks AWS IoT first, too.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, defaults: FunctionDefaults, tags: Mapping[str, str]
    ) -> None:
        """``tags`` are the stack's: CloudFormation updates a registration when they change."""
        super().__init__(
            scope,
            construct_id,
            defaults=defaults,
            handler="functions.handlers.declared_status.handler",
            service="declared-status",
            description="Refuses to make a CA active again that was retired in AWS IoT alone",
        )
        self._tags = dict(tags)
        self.role.add_to_principal_policy(
            iam.PolicyStatement(actions=["iot:DescribeCACertificate"], resources=[f"{iot_arn(self)}:cacert/*"])
        )
        acknowledge(
            self.role,
            {f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:cacert/*]": "A CA gets its id when it is made."},
        )

    def guard(self, scope: Construct, registration: iot.CfnCACertificate, *, setting: str) -> None:
        """Ask AWS IoT before the registration is made or changed. ``setting`` says where cdk.json has the CA."""
        guard = CustomResource(
            scope,
            "DeclaredStatus",
            resource_type="Custom::DeclaredStatus",
            service_token=self.service_token,
            properties={
                "Setting": setting,
                "CertificatePem": registration.ca_certificate_pem,
                "Status": registration.status,
                # All else that can change about it. As text, because the function does not read it.
                "Rest": Stack.of(self).to_json_string(
                    {
                        "autoRegistration": registration.auto_registration_status,
                        "tags": {tag.key: tag.value for tag in registration.tags_raw or []} | self._tags,
                    }
                ),
            },
        )
        guard.node.add_dependency(self)  # its permissions come first
        registration.node.add_dependency(guard)
