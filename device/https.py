"""One HTTPS request, and an error of its own for each way in which it can fail.

Built on ``http.client`` and not on requests: importing requests adds a third to the processor time of a bootstrap
(README, design notes), and a Pi Zero is slow. Programs on the device can use requests: ``tls.present`` makes a context
that it accepts.
"""

import datetime
import errno
import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from .cures import ANOTHER_NETWORK, CHECK_DNS, CHECK_PROXY, SET_CLOCK
from .errors import (
    ClockWrong,
    HungUp,
    NameNotResolved,
    NetworkError,
    NoAnswer,
    NoRoute,
    PortClosed,
    ProxyFailed,
    ServerNotTrusted,
    UnexpectedReply,
)
from .network import Network

TIMEOUT = 20.0
LARGEST_REPLY = 1 << 20

# From OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _WRONG_HOST_NAME, _WRONG_ADDRESS = 9, 10, 62, 64


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
        return "".join(c for c in line if c.isprintable()).rstrip(".")

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait (RFC 9110 section 10.2.3: a number or a date); None without a Retry-After."""
        value = self.headers.get("retry-after", "").strip()
        if value.isdigit():
            return float(value)
        try:
            wait = parsedate_to_datetime(value) - datetime.datetime.now(datetime.UTC)
        except (ValueError, TypeError):
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
) -> Reply:
    """Send one request over a connection of its own.

    Redirects are not followed, since a token must reach no other server.

    Args:
        timeout: in seconds, for each single wait.

    Raises:
        NetworkError: the server was not reached, or closed the connection.
        ServerNotTrusted, ClockWrong: the server's certificate does not verify.
        UnexpectedReply: the answer is not HTTP.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection, peer = open_connection(host, port, network=network, timeout=timeout)
    try:
        connection.connect()
        connection.request(method, target, body=body, headers=dict(headers or {}))
        reply = connection.getresponse()
        return Reply(
            reply.status,
            {name.lower(): value for name, value in reply.getheaders()},
            reply.read(LARGEST_REPLY),
        )
    except (OSError, http.client.HTTPException) as error:
        raise explain(error, peer=peer, host=host, timeout=timeout) from None
    finally:
        connection.close()


def open_connection(
    host: str, port: int, *, network: Network, timeout: float
) -> tuple[http.client.HTTPSConnection, str]:
    """A connection that is not open yet, directly or through a proxy; and the peer that TCP connects to."""
    proxy = network.proxy_for(host, port)
    if proxy is None:
        direct = http.client.HTTPSConnection(host, port, context=network.context, timeout=timeout)
        return direct, f"{host} port {port}"
    tunnel = http.client.HTTPSConnection(proxy.host, proxy.port, context=network.context, timeout=timeout)
    headers = {}
    if proxy.user is not None:
        import base64

        credentials = f"{proxy.user}:{proxy.password or ''}".encode()
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(credentials).decode()
    tunnel.set_tunnel(host, port, headers=headers)
    return tunnel, proxy.peer


def explain(
    error: OSError | http.client.HTTPException, *, peer: str, host: str, timeout: float
) -> NetworkError | ServerNotTrusted | UnexpectedReply:
    """The error that says what ``error`` means.

    Args:
        peer: what TCP connects to: the server, or a proxy.
        host: the server, whose certificate counts.
        timeout: in seconds; it is only mentioned.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_trusted(error, host)
    if isinstance(error, ssl.SSLError):
        return _tls_ended(error, host)
    if isinstance(error, http.client.HTTPException | ConnectionResetError | BrokenPipeError):
        # RemoteDisconnected is both. Any other HTTPException means that the server does not speak HTTP.
        if isinstance(error, ConnectionError):
            return HungUp(f"{host} closed the connection without an answer.", cure=ANOTHER_NETWORK)
        return UnexpectedReply(f"{host} sent an answer that is not HTTP.", cure=ANOTHER_NETWORK)
    return _tcp_failed(error, peer, timeout)


def _not_trusted(error: ssl.SSLCertVerificationError, host: str) -> ServerNotTrusted:
    clock = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    if error.verify_code == _NOT_YET_VALID:
        return ClockWrong(
            f"the certificate of {host} is not valid yet, by this machine's clock, which says {clock}.",
            cure=SET_CLOCK,
        )
    if error.verify_code == _EXPIRED:
        return ClockWrong(
            f"the certificate of {host} has expired, by this machine's clock, which says {clock}.",
            cure=f"{SET_CLOCK}; if the clock is right, the operator of the server has to renew its certificate",
        )
    if error.verify_code in (_WRONG_HOST_NAME, _WRONG_ADDRESS):
        return ServerNotTrusted(
            f"the server that answers for {host} shows a certificate for another name.",
            cure=f"check the host name, and the address that DNS gives for it: getent hosts {host}",
        )
    return ServerNotTrusted(
        f"the certificate of {host} does not lead to a trusted root: {error.verify_message}.",
        cure="if a proxy opens TLS connections, give its root with --ca-file, or ask its operator to exempt this host",
    )


def _tls_ended(error: ssl.SSLError, host: str) -> NetworkError:
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return HungUp(f"{host} closed the connection without an answer.", cure=ANOTHER_NETWORK)
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return HungUp(f"{host} does not speak TLS on this port.", cure="check the port; then " + ANOTHER_NETWORK)
    return HungUp(f"{host} closed the TLS connection: {reason}.", cure=ANOTHER_NETWORK)


def _tcp_failed(error: OSError, peer: str, timeout: float) -> NetworkError:
    name = peer.rpartition(" port ")[0]
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return NameNotResolved(
            f"no DNS server answered for the name {name}.",
            cure=f"check the network first (ip address, ip route); then {CHECK_DNS}",
        )
    if isinstance(error, socket.gaierror):
        return NameNotResolved(
            f"the name {name} does not resolve: {error.strerror}.",
            cure=f"check the spelling of the name; then {CHECK_DNS}",
        )
    if isinstance(error, ConnectionRefusedError):
        return PortClosed(
            f"{peer} refuses connections.",
            cure="check the port number; a firewall that rejects connections looks the same",
        )
    if isinstance(error, TimeoutError):
        return NoAnswer(
            f"{peer} did not answer within {timeout:.0f} s.",
            cure="a firewall that drops packets looks like this: open TCP 443, 8443 and 8883 to the outside",
        )
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN):
        return NoRoute(f"there is no route to {peer}.", cure="check the cable or the Wi-Fi: ip address, ip route")
    if str(error).startswith("Tunnel connection failed"):
        return ProxyFailed(
            f"{peer} did not connect: {str(error).partition(': ')[2]}.",
            cure=CHECK_PROXY,
        )
    return NetworkError(f"the connection to {peer} failed: {error.strerror or type(error).__name__}.")
