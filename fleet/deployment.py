"""A deployment, found by the outputs of its CloudFormation stack ``<fleet>-Enrollment``."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from fleet.errors import NoDeployment
from ledger import Ledger

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

    from fleet.enrollment_api import EnrollmentApi

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3},
    connect_timeout=10,
    read_timeout=30,
    user_agent_extra="zymkey-fleet",
)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The stack's outputs, by their names in snake case."""

    enrollment_url: str
    ledger_table: str
    iot_policy: str
    issuer: str
    fleet: str


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A deployment and the AWS clients to work on it; each client is made when it is first used."""

    outputs: Outputs
    url: str  # where devices enroll; usually the stack's own
    session: boto3.session.Session

    def bootstrap_command(self, name: str) -> str:
        """What to run on the Raspberry Pi, ready for a shell."""
        return f"zymkey-iot bootstrap {shlex.quote(self.url)} --name {name}"

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(client=self.session.client("dynamodb", config=_CONFIG), table=self.outputs.ledger_table)

    @cached_property
    def iot(self) -> IoTClient:
        return self.session.client("iot", config=_CONFIG)

    @cached_property
    def api(self) -> EnrollmentApi:
        # Not at the top: most commands do without it, and it takes a tenth of a second to load.
        from fleet.enrollment_api import EnrollmentApi

        return EnrollmentApi(self.url)

    def require_issuer(self, issuer: str) -> None:
        """
        Raises:
            NoDeployment: somebody else signs this deployment's certificates.
        """
        if self.outputs.issuer != issuer:
            raise NoDeployment(
                f"The deployment {self.outputs.fleet!r} has the issuer {self.outputs.issuer}; this command is for one "
                f"with {issuer}."
            )

    @cached_property
    def operator(self) -> str:
        """Who asks, for the ledger's history: the end of the caller's ARN, such as ``user/alice``."""
        arn = self.session.client("sts", config=_CONFIG).get_caller_identity()["Arn"]
        return arn.split(":", 5)[-1]


def open_deployment(options: argparse.Namespace) -> Deployment:
    """Find the deployment that the options of ``fleet.arguments.deployment_options`` name.

    Calls cloudformation:DescribeStacks.

    Raises:
        NoDeployment: there is no such stack in this account and Region, or it was not deployed to its end.
        ClientError, BotoCoreError: AWS does not answer, or refuses.
    """
    session = boto3.session.Session(profile_name=options.profile, region_name=options.region)
    outputs = _outputs(session, options.fleet)
    return Deployment(outputs=outputs, url=options.url or outputs.enrollment_url, session=session)


def iot_client(options: argparse.Namespace) -> IoTClient:
    """AWS IoT of the account that the options of ``fleet.arguments.place_options`` name."""
    session = boto3.session.Session(profile_name=options.profile, region_name=options.region)
    return session.client("iot", config=_CONFIG)


def _outputs(session: boto3.session.Session, fleet: str) -> Outputs:
    stack = _stack(session, f"{fleet}-Enrollment")
    found = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    wanted = {field.name: _output_name(field.name) for field in fields(Outputs)}
    missing = [output for output in wanted.values() if output not in found]
    if missing:
        raise NoDeployment(
            f"The stack {stack['StackName']} is {stack['StackStatus']} and lacks the output {missing[0]}. "
            "Deploy it with `cdk deploy --all`."
        )
    return Outputs(**{field: found[output] for field, output in wanted.items()})


def _stack(session: boto3.session.Session, name: str) -> dict[str, Any]:
    client = session.client("cloudformation", config=_CONFIG)
    try:
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            raise NoDeployment(
                f"There is no stack {name} in Region {client.meta.region_name} of this account. "
                "Deploy it with `cdk deploy --all`, or choose with --fleet, --region and --profile."
            ) from None
        raise
    return dict(stack)


def _output_name(field: str) -> str:
    return "".join(word.capitalize() for word in field.split("_"))
