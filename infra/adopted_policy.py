"""An IoT policy that an earlier deployment left: no template has it, so a custom resource keeps its document."""

from typing import Any

from aws_cdk import CustomResource, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.bundled_function import FunctionDefaults
from infra.custom_resource_provider import CustomResourceProvider


class AdoptedPolicy(Construct):
    """The policy's default version follows ``document``. Nothing is detached or deleted, also with the stack."""

    def __init__(
        self, scope: Construct, construct_id: str, *, name: str, document: dict[str, Any], defaults: FunctionDefaults
    ) -> None:
        super().__init__(scope, construct_id)

        provider = CustomResourceProvider(
            self,
            "Writer",
            defaults=defaults,
            handler="functions.handlers.adopted_policy.handler",
            service="adopted-policy",
            description="Keeps the adopted IoT policy as the settings have it",
        )
        stack = Stack.of(self)
        provider.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[
                    *("iot:CreatePolicyVersion", "iot:DeletePolicyVersion"),
                    *("iot:GetPolicy", "iot:ListPolicyVersions"),
                ],
                resources=[f"arn:{stack.partition}:iot:{stack.region}:{stack.account}:policy/{name}"],
            )
        )
        document_resource = CustomResource(
            self,
            "Document",
            resource_type="Custom::AdoptedIotPolicy",
            service_token=provider.service_token,
            # As text: CloudFormation would make strings of what is no string.
            properties={"PolicyName": name, "PolicyDocument": stack.to_json_string(document)},
        )
        # Its permissions come first, and go last.
        document_resource.node.add_dependency(provider)
