"""Where a stack will be deployed."""

import os

from aws_cdk import Stack, Token


def known_region(stack: Stack) -> str | None:
    """The stack's Region: as it was told or, by the CDK's command line, as that is configured; None when unknown."""
    return os.environ.get("CDK_DEFAULT_REGION") if Token.is_unresolved(stack.region) else stack.region
