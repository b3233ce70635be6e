"""What the value of a setting may be: each function returns it as ``Settings`` has it.

Raises:
    ValueError: it is not allowed. The text says why, as the end of a sentence, and shows no secret.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .home import absolute, absolute_key

TLS_WAYS = ("auto", "signer", "curl")

NAME_RULE = "a device name has 1 to 64 letters, digits, - and _"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([smhd]?)")
_LONGEST_TIME = 366 * 86400
_LONGEST_FIRST_WAIT = 3600
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(NAME_RULE)
    return value


def path(value: Any) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it is the path of a file or a folder")
    _check_characters(value)
    return absolute(value)


def key(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a key looks like zymkey:slot=1")
    _check_characters(value)
    return absolute_key(value.strip())


def _check_characters(text: str) -> None:
    if any(ord(each) < 0x20 or ord(each) == 0x7F for each in text):
        raise ValueError("it has a control character")


def yes_or_no(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in ("true", "yes", "1", "false", "no", "0"):
        raise ValueError("it is true or false")
    return text in ("true", "yes", "1")


def proxy(value: Any) -> str | None:
    """An empty one means none, although a place further down has one."""
    if not str(value).strip():
        return None
    # Imported here: few devices have a proxy.
    from .proxy import Proxy

    return Proxy.parse(str(value)).url


def or_none(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An empty value means none, although a place further down has one; a bootstrap with it forgets that one."""
    return lambda value: parse(value) if str(value).strip() else None


def tls(value: Any) -> str:
    if value not in TLS_WAYS:
        raise ValueError("it must be one of " + ", ".join(TLS_WAYS))
    return str(value)


def patience(value: Any) -> float:
    """How long to try again, in seconds; infinity for ``never`` giving up."""
    if str(value).strip().lower() == "never":
        return math.inf
    try:
        return duration(value)
    except ValueError as wrong:
        raise ValueError(f"{wrong}, or never") from None


def first_wait(value: Any) -> float:
    seconds = duration(value)
    if seconds > _LONGEST_FIRST_WAIT:
        raise ValueError("it is at most 1h")
    return seconds


def duration(value: Any) -> float:
    match = _DURATION.fullmatch(str(value).strip())
    if not match:
        raise ValueError("a time looks like 90, 90s, 10m, 2h or 1d")
    seconds = float(match.group(1)) * _SECONDS[match.group(2)]
    if seconds > _LONGEST_TIME:
        raise ValueError("a time is at most 366d")
    return seconds
