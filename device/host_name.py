"""What may stand where a host is named."""

import ipaddress
import re

# RFC 1123 section 2.1, and the underscore, which names in private networks have.
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?")
_LONGEST_NAME = 253


def is_host(text: str) -> bool:
    """Whether ``text`` is a host name in ASCII, or an IP address without brackets."""
    if ":" not in text:
        return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
