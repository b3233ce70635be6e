"""What answers CloudFormation for a custom resource: one handler of the bundle, behind CDK's provider framework."""

from typing import cast

from aws_cdk import CfnElement, Duration, Stack, custom_resources
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.bundled_function import BundledFunction, FunctionDefaults, FunctionRole, LogGroup


class CustomResourceProvider(Construct):
    """The handler, and the framework's function that calls it.

    The provider framework answers CloudFormation even when the handler cannot be imported or times out: a deployment
    fails at once and says why.

    Attributes:
        role: the handler's, for the permissions that it needs.
        service_token: what a ``CustomResource`` names.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        defaults: FunctionDefaults,
        handler: str,
        service: str,
        description: str,
    ) -> None:
        super().__init__(scope, construct_id)

        function = BundledFunction(
            self,
            "Handler",
            defaults=defaults,
            handler=handler,
            service=service,
            description=description,
            timeout=Duration.minutes(2),
        )
        framework_logs = LogGroup(self, "FrameworkLogs", retention_days=defaults.log_retention_days).group
        framework_role = FunctionRole(self, "FrameworkExecution", log_group=framework_logs).role
        handler_id = Stack.of(self).get_logical_id(cast(CfnElement, function.function.node.default_child))
        acknowledge(
            framework_role,
            {f"AwsSolutions-IAM5[Resource::<{handler_id}.Arn>:*]": "Versions of the one function that it calls."},
        )
        self.role = function.role
        self.service_token = custom_resources.Provider(
            self,
            "Provider",
            on_event_handler=function.function,
            framework_on_event_role=framework_role,
            log_group=framework_logs,
        ).service_token
