"""HTTPS requests that carry what their command gives them, and nothing that lies around on the operator's machine.

The reply is bounded, in its size and in all of its time: the URL may be another's, and no command waits for ever.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from fleet.errors import FleetError, SdkFailed, UnexpectedReply, Unreachable, innermost_reason
from fleet.proxies import refuse_unusable_proxies
from fleet.time_limit import TimeIsUp, within
from fleet.trusted_roots import refuse_unusable_roots

_TIMEOUT_SECONDS = 30
# How often the time-out of a single wait goes into the whole of a request.
_WHOLE = 3
# A certificate with its chain, or a sentence, is a hundredth of it.
_MAX_BYTES = 1 << 20
# The request was never made: the URL or a proxy is no URL, or a header cannot be sent.
_NOT_SENT = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidProxyURL,
)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Status, headers by their names in any case, and the whole body."""

    url: str
    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """What the body says.

        Raises:
            ValueError, RecursionError: it is no JSON.
        """
        return json.loads(self.content)


class HttpsSession:
    """Requests to one server, verified against the file in ``$CA_BUNDLE``, or else the usual roots.

    Proxies are the environment's. Credentials are not: ``.netrc`` and a user in the URL would add an Authorization that
    nobody asked for, and a redirect would take one to another host.
    """

    def __init__(self, *, protocol: str | None = None) -> None:
        """``protocol`` is what TLS offers by ALPN."""
        self._session = requests.Session()
        if protocol is not None:
            self._session.mount("https://", _Offering(protocol))
        self._session.headers["User-Agent"] = "zymkey-fleet"
        self._session.headers["Accept-Encoding"] = "identity"
        # Without an auth of its own a request takes one from .netrc or from the URL.
        self._session.auth = _without_credentials
        self._roots = os.environ.get("CA_BUNDLE") or None

    def send(self, method: str, url: str, *, timeout: float = _TIMEOUT_SECONDS, **options: Any) -> Reply:
        """Make one request and return its reply, whatever the status but a redirect.

        Args:
            timeout: in seconds, for each single wait; the whole takes at most ``_WHOLE`` times as long.

        Raises:
            Unreachable: there was no reply, or not all of it.
            SdkFailed: the URL, a proxy or the CA file cannot be used.
            UnexpectedReply: the server points to another address, or its reply is far too long.
        """
        refuse_unusable_proxies()
        if self._roots is not None:
            refuse_unusable_roots(self._roots, named_by="$CA_BUNDLE")
        # Per request, not per session: the latter gives way to REQUESTS_CA_BUNDLE.
        options = {"verify": self._roots or True, "timeout": timeout, "allow_redirects": False} | options
        try:
            reply = self._bounded(method, url, seconds=_WHOLE * timeout, options=options)
        except (requests.RequestException, OSError, ValueError) as error:
            raise _explained(url, error) from None
        if 300 <= reply.status_code < 400:
            raise UnexpectedReply(
                f"{url} points to another address ({reply.status_code}); what was sent is not sent there.",
                cure="check the URL (--url, $ENROLLMENT_URL): it has to be the deployment's own",
            )
        return reply

    def _bounded(self, method: str, url: str, *, seconds: float, options: Mapping[str, Any]) -> Reply:
        """The reply; in a thread, since a server that sends a byte now and then keeps within every time-out."""
        try:
            return within(seconds, lambda: self._exchange(method, url, options))
        except TimeIsUp:
            raise Unreachable(
                f"{url} has not sent its whole reply within {seconds:g} s.",
                cure="check the URL (--url, $ENROLLMENT_URL) and the proxy, and run the same command again",
            ) from None

    def _exchange(self, method: str, url: str, options: Mapping[str, Any]) -> Reply:
        with closing(self._session.request(method, url, stream=True, **options)) as reply:
            encoding = reply.headers.get("Content-Encoding", "identity").strip().lower()
            if encoding != "identity":  # a few bytes could become all of this machine's memory
                raise _unwanted(url, "is compressed, although nobody asked for that")
            content = b""
            for part in reply.iter_content(65_536):
                content += part
                if len(content) > _MAX_BYTES:
                    raise _unwanted(url, f"is longer than {_MAX_BYTES >> 20} MiB")
            return Reply(url=url, status_code=reply.status_code, headers=reply.headers, content=content)


class _OneProtocol(ssl.SSLContext):
    """Offers one protocol by ALPN: urllib3 sets ``http/1.1`` before each of its handshakes."""

    def offer(self, protocol: str) -> None:
        super().set_alpn_protocols([protocol])

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        pass


class _Offering(HTTPAdapter):
    """Connections that offer a protocol by ALPN; roots and client certificate are those of the request."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        context = _OneProtocol(ssl.PROTOCOL_TLS_CLIENT)
        context.offer(self._protocol)
        super().init_poolmanager(*arguments, ssl_context=context, **options)


def _unwanted(url: str, what: str) -> UnexpectedReply:
    return UnexpectedReply(
        f"The reply of {url} {what}.",
        cure="check that the URL is this deployment's (--url, $ENROLLMENT_URL), and that no proxy changes replies",
    )


def _explained(url: str, error: Exception) -> FleetError:
    # requests raises a bare OSError for a CA file that is not there, and urllib3's ValueErrors for proxies.
    foreseen = isinstance(error, requests.RequestException) and not isinstance(error, _NOT_SENT)
    if foreseen:
        return Unreachable(
            f"No answer from {url}: {innermost_reason(error)}.",
            cure="check this machine's network and clock, the proxy, and the URL (--url, $ENROLLMENT_URL)",
        )
    said = "a header cannot be sent" if "header" in str(error).lower() else innermost_reason(error)
    return SdkFailed(
        f"The request to {url} cannot be made: {said}.",
        cure="check the URL (--url, $ENROLLMENT_URL), the proxy ($HTTPS_PROXY) and the CA file ($REQUESTS_CA_BUNDLE)",
    )


def _without_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
