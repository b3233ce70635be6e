"""Where a stack will be deployed."""

import os

from aws_cdk import Annotations, Stack, Token

# AWS General Reference, "AWS IoT Core endpoints and quotas", November 2026.
WITHOUT_IOT_CORE = (
    *("af-south-1", "ap-east-2", "ap-northeast-3", "ap-south-2", "ap-southeast-3", "ap-southeast-4"),
    *("ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "mx-central-1"),
)


def known_region(stack: Stack) -> str | None:
    """The stack's Region: as it was told or, by the CDK's command line, as that is configured; None when unknown."""
    return os.environ.get("CDK_DEFAULT_REGION") if Token.is_unresolved(stack.region) else stack.region


def warn_of_region(stack: Stack) -> None:
    """Warn when the stack's Region is known, and has no AWS IoT Core as far as is known here.

    No error: AWS may have opened it since. Where it has not, CloudFormation refuses the template as a whole, since it
    does not know the resource types, and makes nothing.
    """
    region = known_region(stack)
    if region in WITHOUT_IOT_CORE:
        Annotations.of(stack).add_warning_v2(
            "zymkey-fleet:regionWithoutIotCore",
            f"In November 2026 there was no AWS IoT Core in {region}, the Region of your AWS profile. Choose another "
            "one (--profile, AWS_REGION); if AWS offers it there by now, go on.",
        )
