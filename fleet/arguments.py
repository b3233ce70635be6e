"""The options that many commands share, and what the words of a command line must look like.

The functions that take a text are ``type=`` functions of argparse: what they raise becomes a usage error (exit code 2).
"""

import argparse
import os
import re
import warnings
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from fleet.fingerprints import normal_fingerprint
from pki.certificates import SUBJECT_ATTRIBUTES
from pki.names import DEVICE_NAME_RULE, fits_a_common_name, is_device_name

DEFAULT_FLEET = "zymkey"

_UNITS = {"m": 60, "h": 3600, "d": 86_400}
_MAX_DURATION = 365 * 86_400
# RFC 5280 appendix A: ub-locality-name, ub-state-name; the others have 64, and the country's length the package checks.
_MAX_SUBJECT_VALUE = {"L": 128, "ST": 128}


def add_deployment(parser: argparse.ArgumentParser) -> None:
    """Where the deployment is. Credentials come from where every AWS tool takes them."""
    group = parser.add_argument_group("which deployment")
    add_fleet(group)
    group.add_argument(
        "--url",
        default=os.environ.get("ENROLLMENT_URL") or None,
        type=enrollment_url,
        help="where devices enroll (default: $ENROLLMENT_URL or the stack's output EnrollmentUrl)",
    )
    _add_place(group)


def add_fleet(parser: Any) -> None:
    """Which fleet, for an ``argparse`` parser or a group of one."""
    parser.add_argument(
        "--fleet",
        default=os.environ.get("ZYMKEY_FLEET") or DEFAULT_FLEET,
        type=fleet_name,
        help="the deployment's name, cdk.json's setting 'fleet' (default: $ZYMKEY_FLEET or %(default)s)",
    )


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
    normal = normal_fingerprint(text)
    if normal is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a fingerprint, which is SHA256: and 43 characters")
    return normal


def device_name(text: str) -> str:
    if not is_device_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a device name, which is {DEVICE_NAME_RULE}")
    return text


def fleet_name(text: str) -> str:
    """A stack's name without ``-Enrollment`` (AWS CloudFormation API reference, DescribeStacks)."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,99}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a fleet's name, which is letters, digits and hyphens")
    return text


def enrollment_url(text: str) -> str:
    """A URL that paths can be added to. Without TLS only to this machine: tokens go there."""
    try:
        url = urlsplit(text)
        is_plain = text.isascii() and text.isprintable() and " " not in text
        usable = is_plain and bool(url.hostname) and url.port != 0 and not (url.query or url.fragment)
    except ValueError:
        usable = False
    if not usable or "@" in url.netloc:
        raise argparse.ArgumentTypeError(
            "the URL (--url, $ENROLLMENT_URL) has to look like https://HOST/PATH, without user, query and blanks"
        )
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")):
        raise argparse.ArgumentTypeError("the URL (--url, $ENROLLMENT_URL) has to begin with https://")
    return text.rstrip("/")


def years(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of years from 1 to 99")
    return int(text)


def common_name(text: str) -> str:
    return _subject_value("CN", NameOID.COMMON_NAME, text)


def organization(text: str) -> str:
    return _subject_value("O", NameOID.ORGANIZATION_NAME, text) if text else ""


def duration(text: str) -> int:
    """Seconds from a number and a unit, as in ``90m``, ``24h``, ``7d``; from one minute to a year."""
    match = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < seconds <= _MAX_DURATION:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time from 1m to 365d, such as 90m, 24h or 7d")
    return seconds


def positive(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 99999")
    return int(text)


def subject_attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if name not in SUBJECT_ATTRIBUTES or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not ATTRIBUTE=VALUE with one of {', '.join(SUBJECT_ATTRIBUTES)}")
    return name, _subject_value(name, SUBJECT_ATTRIBUTES[name], value)


def _subject_value(name: str, oid: ObjectIdentifier, value: str) -> str:
    """A value that X.509 has room for."""
    try:
        # A newer version of the package refuses what this one only warns of.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            x509.NameAttribute(oid, value)
        fits = value.isprintable() and len(value) <= _MAX_SUBJECT_VALUE.get(name, 64)
        fits = fits and (oid != NameOID.COMMON_NAME or fits_a_common_name(value))
    except (ValueError, UserWarning, DeprecationWarning):
        fits = False
    if not fits:
        raise argparse.ArgumentTypeError(
            f"{value!r} does not fit into a certificate as {name}: at most 64 characters that can be seen, 128 for L "
            "and ST; 64 bytes of UTF-8 for CN; two letters for C"
        )
    return value
