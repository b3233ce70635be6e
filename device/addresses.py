"""Addresses of servers as settings name them: checked, and each spelled in one way, so that they can be compared."""

import re
from typing import Any

from .host_name import is_host

_LOOKS_LIKE = "an enrollment URL looks like https://abc.execute-api.eu-central-1.amazonaws.com"
_EST = "/.well-known/est"
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<server>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL)
_SERVER = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
# RFC 3986 section 3.3: pchar.
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*")


def enrollment_url(value: Any) -> str:
    """The URL without what does not change its meaning: a slash at the end, EST's path, port 443, capitals in the host.

    Raises:
        ValueError: it is none. The sentence says in what.
    """
    text = str(value).strip()
    found = _URL.fullmatch(text)
    if found is None or found["scheme"].lower() != "https":
        raise ValueError("an enrollment URL starts with https://, because a token is sent to it")
    if found["rest"] or "@" in found["server"]:
        raise ValueError(_LOOKS_LIKE)
    server = _SERVER.fullmatch(found["server"])
    if server is None or not server["host"]:
        raise ValueError(_LOOKS_LIKE)
    bracketed = server["host"].startswith("[")
    host = _host(server["host"].strip("[]") if bracketed else server["host"])
    if bracketed != (":" in host):
        raise ValueError(_LOOKS_LIKE)
    path = found["path"]
    if not _PATH.fullmatch(path) or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("its path has a character or a part that no URL has; " + _LOOKS_LIKE)
    number = port(server["port"]) if server["port"] else 443
    path = path.rstrip("/").removesuffix(_EST).rstrip("/")
    return f"https://{f'[{host}]' if bracketed else host}{'' if number == 443 else f':{number}'}{path}"


def is_same_url(one: Any, other: Any) -> bool:
    """Whether two URLs are the same one, however each is spelled."""
    try:
        return one == other or enrollment_url(one) == enrollment_url(other)
    except ValueError:
        return False


def endpoint(value: Any) -> str:
    """The host of a data endpoint: a name or an IP address, nothing else.

    Raises:
        ValueError: it is none. The sentence says what has to go.
    """
    text = str(value).strip()
    if text.lower().startswith("arn:"):
        raise ValueError(
            "this is an ARN; the endpoint is a host name such as abc-ats.iot.eu-central-1.amazonaws.com"
            " (aws iot describe-endpoint --endpoint-type iot:Data-ATS)"
        )
    if "://" in text or "/" in text:
        raise ValueError("it is a host name alone, without a scheme such as https:// and without a path")
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    elif text.count(":") == 1:
        raise ValueError("it is a host name alone; ports are set with --https-port and --mqtt-port")
    return _host(text)


def host_and_port(value: Any) -> tuple[str, int]:
    """``HOST``, which means port 443, or ``HOST:PORT``.

    Raises:
        ValueError: it is neither.
    """
    text = str(value).strip()
    host, colon, number = text.rpartition(":")
    if colon and text.count(":") == 1 and "/" not in text:
        return endpoint(host), port(number)
    return endpoint(text), 443


def port(value: Any) -> int:
    """A TCP port.

    Raises:
        ValueError: it is none.
    """
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return int(text)


def _host(text: str) -> str:
    if not text:
        raise ValueError("it names no host")
    if not text.isascii():
        # Not translated here: two standards differ in that, and a token must reach no other host than was meant.
        raise ValueError("a host name outside ASCII is written in its ASCII form, which begins with xn--")
    if not is_host(text):
        raise ValueError("no host has such a name: it has letters, digits, - and ., and at most 63 between two dots")
    return text.lower().removesuffix(".")
