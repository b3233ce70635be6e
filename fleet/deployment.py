"""A deployment, found by the outputs of its CloudFormation stack ``<fleet>-Enrollment``."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from fleet.aws_session import AwsSession
from fleet.errors import NoDeployment
from ledger import Ledger

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_iot_data import IoTDataPlaneClient

    from fleet.enrollment_api import EnrollmentApi


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The stack's outputs, by their names in snake case."""

    enrollment_url: str
    ledger_table: str
    iot_policy: str
    issuer: str
    fleet: str
    api_url: str = ""
    """The API's own address, beside a domain's; empty for a deployment of an earlier release."""
    declared: str = ""
    """What an audit holds AWS IoT against, as JSON; empty for a deployment of an earlier release."""
    delete_after_days: str = ""
    """The setting ``deleteAfterDays``; empty for a deployment that deletes nothing yet."""
    mqtt_without_thing: str = "allow"
    """The setting ``mqttWithoutThing``."""
    renewal_topic: str = ""
    """On which a device hears that it shall renew, with ``{device}``; empty where the IoT policy allows none."""
    things: str = ""
    """The setting ``things`` as JSON; empty where it is not used."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A deployment and the AWS clients to work on it; each client is made when it is first used."""

    outputs: Outputs
    url: str  # where devices enroll; usually the stack's own
    session: AwsSession

    def bootstrap_command(self, name: str) -> str:
        """What to run on the Raspberry Pi, ready for a shell."""
        option = f"--name={name}" if name.startswith("-") else f"--name {name}"
        return f"zymkey-iot bootstrap {shlex.quote(self.url)} {option}"

    def prepare(self, *parts: str) -> None:
        """Make these parts now, such as ``ledger``: what threads share must not be made by two of them at once."""
        for part in parts:
            getattr(self, part)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(client=self.session.client("dynamodb"), table=self.outputs.ledger_table)

    @cached_property
    def iot(self) -> IoTClient:
        client: IoTClient = self.session.client("iot")
        return client

    @cached_property
    def iot_data(self) -> IoTDataPlaneClient:
        """AWS IoT's data plane. The SDK's own endpoint serves every account: the signature says which one."""
        client: IoTDataPlaneClient = self.session.client("iot-data")
        return client

    @property
    def announced_url(self) -> str | None:
        """The URL that devices are told to use from now on: the domain's, if this deployment has one."""
        has_domain = self.outputs.api_url not in ("", self.outputs.enrollment_url)
        return self.outputs.enrollment_url if has_domain else None

    @cached_property
    def api(self) -> EnrollmentApi:
        # Not at the top: it takes a tenth of a second to load, and most commands do not use it.
        from fleet.enrollment_api import EnrollmentApi

        return EnrollmentApi(self.url)

    def require_issuer(self, issuer: str) -> None:
        """Refuse to work on a deployment of another issuer.

        Raises:
            NoDeployment: another issuer signs this deployment's certificates.
        """
        if self.outputs.issuer != issuer:
            raise NoDeployment(
                f"The deployment {self.outputs.fleet!r} has the issuer {self.outputs.issuer}; this command needs the "
                f"issuer {issuer}.",
                cure="choose another deployment with --fleet, or change the setting issuer in cdk.json and deploy",
            )

    @cached_property
    def operator(self) -> str:
        """The caller, for the ledger's history: the end of their ARN, such as ``user/alice``."""
        arn: str = self.session.client("sts").get_caller_identity()["Arn"]
        return arn.split(":", 5)[-1]


def open_deployment(arguments: argparse.Namespace) -> Deployment:
    """Find the deployment that the options of ``fleet.arguments.add_deployment`` name.

    Calls cloudformation:DescribeStacks.

    Raises:
        NoDeployment: there is no such stack in this account and Region, or its deployment did not complete.
        ClientError, BotoCoreError: AWS does not answer, or refuses.
    """
    session = AwsSession(profile=arguments.profile, region=arguments.region)
    outputs = _outputs(session, arguments.fleet)
    return Deployment(outputs=outputs, url=arguments.url or outputs.enrollment_url, session=session)


def patient(deployment: Deployment) -> Deployment:
    """The same deployment, for a command that works for minutes and would lose them to one refusal."""
    return replace(deployment, session=deployment.session.patient())


def iot_client(arguments: argparse.Namespace) -> IoTClient:
    """AWS IoT of the account that the options of ``fleet.arguments.add_account`` name."""
    session = AwsSession(profile=arguments.profile, region=arguments.region)
    client: IoTClient = session.client("iot")
    return client


def _outputs(session: AwsSession, fleet: str) -> Outputs:
    stack = _stack(session, f"{fleet}-Enrollment")
    found = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    wanted = {field.name: _output_name(field.name) for field in fields(Outputs)}
    needed = [wanted[field.name] for field in fields(Outputs) if field.default is MISSING]
    missing = [output for output in needed if output not in found]
    if missing:
        raise NoDeployment(
            f"The stack {stack['StackName']} is {stack['StackStatus']} and lacks the output {missing[0]}.",
            cure="cdk deploy --all",
        )
    return Outputs(**{field: found[output] for field, output in wanted.items() if output in found})


def _stack(session: AwsSession, name: str) -> dict[str, Any]:
    client = session.client("cloudformation")
    try:
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            raise NoDeployment(
                f"There is no stack {name} in Region {client.meta.region_name} of this account.",
                cure="cdk deploy --all, or choose another deployment with --fleet, --region and --profile",
            ) from None
        raise
    return dict(stack)


def _output_name(field: str) -> str:
    return "".join(word.capitalize() for word in field.split("_"))
