"""HTTP API events (payload format 2.0), decoded."""

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.refusals import BadRequest
from ledger.token import token_hash

# A weight of zero (RFC 9110 section 12.4.2).
_REFUSED_TYPE = re.compile(r"q\s*=\s*0(\.0{0,3})?")


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
    """One request.

    Attributes:
        route: API Gateway's routeKey, such as ``POST /certificates``.
        accepts: the media types that the client names, in small letters; neither ranges such as ``*/*`` nor what it
            refuses (``q=0``).
        source: an IPv4 address, or the /64 of an IPv6 address, which one subscriber has to themselves.
    """

    route: str
    body: bytes
    credentials: Credentials | None
    source: str
    accepts: frozenset[str] = frozenset()


def decode(event: Mapping[str, Any]) -> HttpRequest:
    """Decode an event.

    API Gateway hands over a body that is neither text nor JSON in base64; what is inside may well be base64 again.
    Credentials that are not well-formed HTTP Basic (RFC 7617) count as none.

    Raises:
        BadRequest: the body is not what the event says of it.
    """
    headers = {str(name).lower(): value for name, value in _mapping(event, "headers").items()}
    return HttpRequest(
        route=route_of(event),
        body=_body(event),
        credentials=_credentials(headers.get("authorization")),
        source=_source(_mapping(_mapping(event, "requestContext"), "http").get("sourceIp")),
        accepts=_accepted(headers.get("accept")),
    )


def route_of(event: Mapping[str, Any]) -> str:
    """The event's route; empty when it has none."""
    return _text(event.get("routeKey"))


def request_id_of(event: Mapping[str, Any]) -> str:
    """What API Gateway and the function's log call this request; empty when the event does not say."""
    return _text(_mapping(event, "requestContext").get("requestId"))


def _body(event: Mapping[str, Any]) -> bytes:
    content = _text(event.get("body")).encode(errors="replace")
    if not event.get("isBase64Encoded"):
        return content
    try:
        return base64.b64decode(content)
    except ValueError:
        raise BadRequest("The request's body cannot be decoded.") from None


def _credentials(header: object) -> Credentials | None:
    scheme, _, encoded = _text(header).strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        # As bytes: of text that is not ASCII, the decoder makes an error of its own.
        name, colon, token = base64.b64decode(encoded.strip().encode(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return Credentials(name=name, token=token) if colon else None


def _accepted(header: object) -> frozenset[str]:
    """What an Accept header (RFC 9110 section 12.5.1) names exactly, in whatever order."""
    found = set()
    for each in _text(header).lower().split(","):
        media_type, *parameters = (part.strip() for part in each.split(";"))
        if "*" not in media_type and not any(_REFUSED_TYPE.fullmatch(parameter) for parameter in parameters):
            found.add(media_type)
    return frozenset(found - {""})


def _source(address: object) -> str:
    try:
        found = ipaddress.ip_address(_text(address))
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(found), 64), strict=False))
        found = found.ipv4_mapped
    return str(found)


def _mapping(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = event.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
