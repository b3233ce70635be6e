"""A key's fingerprint as people have it, made the one that the ledger knows."""

import re

from pki.fingerprint import is_key_fingerprint

_PREFIX = re.compile(r"sha-?256[:=]", re.IGNORECASE)


def looks_like_fingerprint(text: str) -> bool:
    """Whether somebody means a fingerprint, be it a right one or not."""
    return _PREFIX.match(text.strip()) is not None


def normal_fingerprint(text: str) -> str | None:
    """The fingerprint ``SHA256:…``, or None when it is none.

    Taken as well: blanks around it, another case of the prefix, the padding of base64, and base64 for URLs.
    """
    stripped = text.strip()
    prefix = _PREFIX.match(stripped)
    if prefix is None:
        return None
    digest = stripped[prefix.end() :].removesuffix("=").replace("-", "+").replace("_", "/")
    fingerprint = f"SHA256:{digest}"
    return fingerprint if is_key_fingerprint(fingerprint) else None
