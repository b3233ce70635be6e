"""Lambda functions that run the bundle, each with a role and a log group of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.bundle import PYTHON_VERSION, Bundle
from infra.function_environment import check_environment

_ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}


@dataclass(frozen=True, kw_only=True)
class FunctionDefaults:
    """What the functions of a stack have in common: the bundle, where it runs, its logs, its environment."""

    bundle: Bundle
    architecture: str
    log_retention_days: int
    environment: Mapping[str, str] = field(default_factory=dict)
    # Values that only AWS knows: how many bytes they take at least and at most.
    unknown: Mapping[str, tuple[int, int]] = field(default_factory=dict)


class LogGroup(Construct):
    """A log group that is deleted with its stack: logs are no state. Without a name CloudFormation makes one up."""

    def __init__(
        self, scope: Construct, construct_id: str, *, retention_days: int, log_group_name: str | None = None
    ) -> None:
        super().__init__(scope, construct_id)

        self.group = logs.LogGroup(self, "Group", removal_policy=RemovalPolicy.DESTROY, log_group_name=log_group_name)
        # The construct takes an enum of names, the settings have days.
        cast(logs.CfnLogGroup, self.group.node.default_child).retention_in_days = retention_days


class FunctionRole(Construct):
    """A role that may write to one log group; AWSLambdaBasicExecutionRole would open all of them."""

    def __init__(self, scope: Construct, construct_id: str, *, log_group: logs.ILogGroup) -> None:
        super().__init__(scope, construct_id)

        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(self.role)


class BundledFunction(Construct):
    """One handler of the bundle; ``service`` is its name in the logs."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        defaults: FunctionDefaults,
        handler: str,
        service: str,
        description: str,
        timeout: Duration,
        environment: Mapping[str, str] | None = None,
        reserved_concurrency: int | None = None,
    ) -> None:
        super().__init__(scope, construct_id)

        whole = {**defaults.environment, "LOG_SERVICE": service, **(environment or {})}
        check_environment(self, service, whole, unknown=defaults.unknown)
        log_group = LogGroup(self, "Logs", retention_days=defaults.log_retention_days).group
        self.role = FunctionRole(self, "Execution", log_group=log_group).role
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            code=lambda_.Code.from_asset(str(defaults.bundle.directory), asset_hash=defaults.bundle.digest),
            handler=handler,
            runtime=lambda_.Runtime(f"python{PYTHON_VERSION}", lambda_.RuntimeFamily.PYTHON),
            architecture=_ARCHITECTURES[defaults.architecture],
            # Memory buys processor time: at 512 MB imports take a third of what they take at 128 MB.
            memory_size=512,
            timeout=timeout,
            environment=whole,
            role=self.role,
            log_group=log_group,
            reserved_concurrent_executions=reserved_concurrency,
        )
        acknowledge(
            self.function,
            {"AwsSolutions-L1": f"Python {PYTHON_VERSION} is what the locked packages are installed and tested for."},
        )
