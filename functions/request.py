"""HTTP API events (payload format 2.0), decoded."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.token import token_hash


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """HTTP Basic: the device's name, and its one-time token."""

    name: str
    token: str

    @property
    def token_hash(self) -> str:
        """What the ledger keeps of the token."""
        return token_hash(self.token)

    def __repr__(self) -> str:
        return f"Credentials(name={self.name!r})"  # a token has no place in a log


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """One request. ``route`` is API Gateway's routeKey, such as ``POST /certificates``."""

    route: str
    body: bytes
    credentials: Credentials | None
    request_id: str


def decode(event: Mapping[str, Any]) -> HttpRequest:
    """Decode an event.

    API Gateway hands over a body that is neither text nor JSON in base64; what is inside may well be base64 again.
    Credentials that are not well-formed HTTP Basic (RFC 7617) count as none.
    """
    body = event.get("body") or ""
    content = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return HttpRequest(
        route=event.get("routeKey", ""),
        body=content,
        credentials=_credentials(headers.get("authorization", "")),
        request_id=event.get("requestContext", {}).get("requestId", ""),
    )


def _credentials(header: str) -> Credentials | None:
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, token = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Credentials(name=name, token=token) if colon else None
