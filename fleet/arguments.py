"""The options that many commands share, and what the words of a command line must look like.

The functions that take a text are ``type=`` functions of argparse: what they raise becomes a usage error (exit code 2).
"""

import argparse
import os
import re
from typing import Any

from pki.certificates import SUBJECT_ATTRIBUTES
from pki.fingerprint import is_key_fingerprint
from pki.names import DEVICE_NAME_RULE, is_device_name

DEFAULT_FLEET = "zymkey"

_UNITS = {"m": 60, "h": 3600, "d": 86_400}
_MAX_DURATION = 365 * 86_400


def add_deployment(parser: argparse.ArgumentParser) -> None:
    """Where the deployment is. Credentials come from where every AWS tool takes them."""
    group = parser.add_argument_group("which deployment")
    group.add_argument(
        "--fleet",
        default=os.environ.get("ZYMKEY_FLEET") or DEFAULT_FLEET,
        help="the deployment's name, cdk.json's setting 'fleet' (default: $ZYMKEY_FLEET or %(default)s)",
    )
    group.add_argument(
        "--url",
        default=os.environ.get("ENROLLMENT_URL"),
        help="where devices enroll (default: $ENROLLMENT_URL or the stack's output EnrollmentUrl)",
    )
    _add_place(group)


def add_account(parser: argparse.ArgumentParser) -> None:
    """Which account and Region, for commands that come before any deployment."""
    _add_place(parser.add_argument_group("which account"))


def _add_place(group: Any) -> None:
    group.add_argument("--region", help="AWS Region (default: $AWS_REGION, $AWS_DEFAULT_REGION, or the profile's)")
    group.add_argument("--profile", help="a profile of ~/.aws/config (default: $AWS_PROFILE)")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON on stdout, errors too")


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", type=device_name, help=f"the device's name: {DEVICE_NAME_RULE}")


def add_fingerprint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "fingerprint",
        metavar="FINGERPRINT",
        type=fingerprint,
        help="the key's fingerprint, SHA256:…, as `zymkey-fleet pending` and the device show it",
    )


def add_examples(parser: argparse.ArgumentParser, *examples: str) -> None:
    """Close the help text with command lines to copy."""
    lines = "\n".join(f"  {example}" for example in examples)
    parser.epilog = f"{parser.epilog or ''}\n\nexamples:\n{lines}".strip()


def fingerprint(text: str) -> str:
    if not is_key_fingerprint(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a fingerprint, which is SHA256: and 43 characters")
    return text


def device_name(text: str) -> str:
    if not is_device_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a device name, which is {DEVICE_NAME_RULE}")
    return text


def duration(text: str) -> int:
    """Seconds from a number and a unit, as in ``90m``, ``24h``, ``7d``; from one minute to a year."""
    match = re.fullmatch(r"(\d{1,6})([mhd])", text)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < seconds <= _MAX_DURATION:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time from 1m to 365d, such as 90m, 24h or 7d")
    return seconds


def positive(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 99999")
    return int(text)


def subject_attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if name not in SUBJECT_ATTRIBUTES or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not ATTRIBUTE=VALUE with one of {', '.join(SUBJECT_ATTRIBUTES)}")
    return name, value
