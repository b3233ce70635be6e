"""HTTPS requests that carry what their command gives them, and nothing that lies around on the operator's machine."""

from __future__ import annotations

import os
from typing import Any

import requests

from fleet.errors import FleetError, SdkFailed, UnexpectedReply, Unreachable, innermost_reason
from fleet.proxies import refuse_unusable_proxies
from fleet.trusted_roots import refuse_unusable_roots

_TIMEOUT_SECONDS = 30
# The request was never made: the URL or a proxy is no URL, or a header cannot be sent.
_NOT_SENT = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidProxyURL,
)


class HttpsSession:
    """Requests to one server, verified against the file in ``$CA_BUNDLE``, or else the usual roots.

    Proxies are the environment's. Credentials are not: ``.netrc`` and a user in the URL would add an Authorization that
    nobody asked for, and a redirect would take one to another host.
    """

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "zymkey-fleet"
        # Without an auth of its own a request takes one from .netrc or from the URL.
        self._session.auth = _without_credentials
        self._roots = os.environ.get("CA_BUNDLE") or None

    def send(self, method: str, url: str, *, timeout: float = _TIMEOUT_SECONDS, **options: Any) -> requests.Response:
        """Make one request and return its reply, whatever the status but a redirect.

        Raises:
            Unreachable: there was no reply.
            SdkFailed: the URL, a proxy or the CA file cannot be used.
            UnexpectedReply: the server points to another address.
        """
        refuse_unusable_proxies()
        if self._roots is not None:
            refuse_unusable_roots(self._roots, named_by="$CA_BUNDLE")
        # Per request, not per session: the latter gives way to REQUESTS_CA_BUNDLE.
        options = {"verify": self._roots or True, "timeout": timeout, "allow_redirects": False} | options
        try:
            reply = self._session.request(method, url, **options)
        except (requests.RequestException, OSError, ValueError) as error:
            raise _explained(url, error) from None
        if 300 <= reply.status_code < 400:
            raise UnexpectedReply(
                f"{url} points to another address ({reply.status_code}); what was sent is not sent there.",
                cure="check the URL (--url, $ENROLLMENT_URL): it has to be the deployment's own",
            )
        return reply


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
