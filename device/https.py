"""One HTTPS request, with ``requests``, and an error of its own for each way in which it can fail.

A request takes nothing from the environment: network, token and certificate come from the command alone.
"""

import datetime
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import __version__
from .errors import NameNotResolved
from .host_name import is_host
from .network import Network
from .text import printable

if TYPE_CHECKING:
    from .adapter import Adapter
    from .connection import Connection

TIMEOUT = 20.0
WHOLE = 3
"""How often the time-out of a single wait goes into the whole of a request."""

HTTP_1_1 = "http/1.1"
_HEADERS = {"User-Agent": f"zymkey-iot/{__version__}", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Reply:
    """Status, headers by their names in lower case, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def sentence(self) -> str:
        """The first line of a text reply, safe to print; empty when it is not text."""
        line = self.body[:300].decode("utf-8", "replace").strip().partition("\n")[0]
        if line.startswith(("<", "{")):
            return ""
        return printable(line).rstrip(".")

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait (RFC 9110 section 10.2.3: a number or a date); None without a Retry-After."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value)
        try:
            wait = parsedate_to_datetime(value) - datetime.datetime.now(datetime.UTC)
        except (ValueError, TypeError, OverflowError):
            return None
        return max(0.0, wait.total_seconds())


def request(
    method: str,
    url: str,
    *,
    network: Network,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = TIMEOUT,
    protocol: str | None = None,
    mutual: bool = False,
) -> Reply:
    """Send one request over a connection of its own.

    Redirects are not followed, since a token must reach no other server.

    Args:
        timeout: in seconds, for each single wait; the whole takes at most ``WHOLE`` times as long.
        protocol: what ALPN offers in place of HTTP/1.1.
        mutual: show the certificate that the network's context has, if the server asks: to AWS IoT, to nobody else.

    Raises:
        NetworkError: the server was not reached, or closed the connection.
        ServerNotTrusted, ClockWrong: the server's certificate does not verify.
        UnexpectedReply: the answer is not HTTP, or far too long.
        UsageError: the proxy needs a package that is not there.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError:
        raise NameNotResolved(f"{url} does not name a host and a port.", cure="check its spelling") from None
    if not mutual:
        network = network.without_certificate()
    with _adapter(host, port, network=network, protocol=protocol or HTTP_1_1, timeout=timeout) as adapter:
        return Reply(*adapter.exchange(method, url, headers={**_HEADERS, **(headers or {})}, body=body))


@contextmanager
def connection(
    host: str, port: int, *, network: Network, timeout: float, protocol: str | None = None, tls: bool = True
) -> Iterator["Connection"]:
    """An open connection, without a request.

    Args:
        tls: False to stop before it: TCP, and the tunnel if there is a proxy.

    Raises:
        NetworkError, ServerNotTrusted, UsageError: as ``request`` raises them; the cause is Python's own error.
    """
    with _adapter(host, port, network=network, protocol=protocol or HTTP_1_1, timeout=timeout, tls=tls) as adapter:
        opened = adapter.open(f"https://{f'[{host}]' if ':' in host else host}:{port}/")
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def _adapter(host: str, port: int, *, network: Network, timeout: float, **options: Any) -> Iterator["Adapter"]:
    if not is_host(host):
        raise NameNotResolved(f"the name {host} does not resolve: it is not a host name.", cure="check its spelling")
    # Imported here: it costs as much as the rest of most commands, which may end without a request.
    from .adapter import Adapter
    from .watch import Watch

    with (
        Watch(WHOLE * timeout) as watch,
        closing(Adapter(network, host, port, watch=watch, timeout=timeout, **options)) as adapter,
    ):
        yield adapter
