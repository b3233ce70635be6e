"""No secret in an error's text, whoever wrote it: libraries quote what they cannot use, such as a header's value.

Nothing but the standard library's cheap modules is imported here: ``fleet.errors`` uses it.
"""

import os
import re

SECRET_VARIABLES = (
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    *("ZYMKEY_FLEET_PASSPHRASE", "ZYMKEY_FLEET_PIN", "ZYMKEY_IOT_TOKEN"),
)
_HIDDEN = "***"
# What stands before the host of a URL, also where somebody wrote "/", "#" or "@" into the password.
_USER_OF_URL = re.compile(r"(?<=://)[^\s'\"<>]*@")
# A shorter one is often a word or a number that sentences have anyway: to blank it would tell that it is one.
_SHORTEST = 8

_secrets: set[str] = set()


def keep_out(secret: str | bytes | None) -> None:
    """From now on this secret is in no error's text."""
    if secret:
        _secrets.add(secret.decode("utf-8", "replace") if isinstance(secret, bytes) else secret)


def redacted(text: str) -> str:
    """``text`` without the secrets that this process knows, and without the user and password of any URL."""
    known = _secrets | {os.environ.get(name, "") for name in SECRET_VARIABLES}
    known |= {part for proxy in _proxies() for part in re.split(r"[:/@#?\[\]]", proxy.rpartition("@")[0])}
    forms = {form for secret in known for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, _HIDDEN)
    return _USER_OF_URL.sub(f"{_HIDDEN}@", text)


def _proxies() -> list[str]:
    """Libraries quote a part of one that they cannot read."""
    return [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]


def _forms(secret: str) -> set[str]:
    """A secret as libraries quote it: as it is, line by line, and as ``repr`` writes it and its octets in HTTP."""
    forms: set[str] = set()
    for part in (secret, *secret.splitlines()):
        octets = (part.encode("utf-8", "backslashreplace"), part.encode("latin-1", "replace"))
        forms |= {part, repr(part)[1:-1], *(repr(each)[2:-1] for each in octets)}
    return {form for form in (each.strip() for each in forms) if len(form) >= _SHORTEST}
