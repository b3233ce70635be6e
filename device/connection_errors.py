"""Why a connection failed, in the words of a person who has to repair it."""

import datetime
import enum
import errno
import http.client
import socket
import ssl
from pathlib import Path

from .cures import ANOTHER_NETWORK, CHECK_DNS, CHECK_PROXY, SET_CLOCK
from .errors import (
    ClockWrong,
    DeviceError,
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

# From OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _WRONG_HOST_NAME, _WRONG_ADDRESS = 9, 10, 62, 64


class Wait(enum.Enum):
    """What a connection waits for, one after the other; the values say what has not happened when the time is over."""

    TCP = "did not answer"
    TUNNEL = "accepted the connection and did not open a tunnel to {host}"
    TLS = "accepted the connection and did not complete the TLS handshake"
    ANSWER = "accepted the request and did not answer it"
    BODY = "began its answer and did not complete it"


def explain(
    error: OSError | http.client.HTTPException,
    *,
    peer: str,
    host: str,
    wait: Wait = Wait.TCP,
    seconds: float,
    given_roots: Path | None = None,
) -> DeviceError:
    """The error that says what ``error`` means: a NetworkError, ServerNotTrusted or UnexpectedReply.

    Args:
        peer: what TCP connects to: the server, or a proxy, and its port.
        host: the server, whose certificate counts.
        wait: what the connection was waiting for.
        seconds: how long it has waited.
        given_roots: the file of the roots that alone are trusted, if somebody has chosen one.
    """
    if isinstance(error, TimeoutError):
        return no_answer(peer=peer, host=host, wait=wait, seconds=seconds)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_trusted(error, host, given_roots)
    if isinstance(error, ssl.SSLError):
        return _tls_ended(error, host)
    if wait is Wait.TUNNEL:
        return _tunnel_failed(error, peer)
    if isinstance(error, http.client.HTTPException | ConnectionResetError | BrokenPipeError):
        # RemoteDisconnected is both. Any other HTTPException means that the server does not speak HTTP.
        if isinstance(error, ConnectionError):
            return HungUp(f"{host} closed the connection without an answer.", cure=ANOTHER_NETWORK)
        return UnexpectedReply(f"{host} sent an answer that is not HTTP.", cure=ANOTHER_NETWORK)
    return _tcp_failed(error, peer)


def no_answer(*, peer: str, host: str, wait: Wait, seconds: float) -> NoAnswer:
    """A wait was too long. Only where TCP itself was silent is a firewall the likely reason."""
    who = peer if wait in (Wait.TCP, Wait.TUNNEL) else host
    within = f"within {seconds:.0f} s" if seconds >= 10 else f"within {seconds:.1f} s"
    failure = NoAnswer(
        f"{who} {wait.value.format(host=host)} {within}.",
        cure="a firewall that drops packets looks like this: open TCP 443, 8443 and 8883 to the outside"
        if wait is Wait.TCP
        else "try again in a minute; if it happens again, look at that server or at a firewall on the way to it, not at"
        " this device",
    )
    failure.connected = wait not in (Wait.TCP, Wait.TUNNEL)
    return failure


def _not_trusted(error: ssl.SSLCertVerificationError, host: str, given_roots: Path | None) -> ServerNotTrusted:
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
    return untrusted_root(host, error.verify_message, given_roots)


def untrusted_root(host: str, reason: str, given_roots: Path | None) -> ServerNotTrusted:
    """The error of a server whose certificate nobody vouches for who is trusted; ``given_roots`` as for ``explain``."""
    cause = f"the certificate of {host} does not lead to a trusted root: {reason}"
    cure = "if a proxy opens TLS connections, give its root with --ca-file, or ask its operator to exempt this host"
    if given_roots is None:
        return ServerNotTrusted(f"{cause}.", cure=cure)
    # Often it is the CA that signs the devices, which has nothing to do with the servers' certificates.
    return ServerNotTrusted(
        f"{cause}; only the roots in {given_roots} are trusted.",
        cure=f"{cure}; for AWS leave --ca-file out, or take back one that is kept: --ca-file ''",
    )


def _tls_ended(error: ssl.SSLError, host: str) -> NetworkError:
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return HungUp(f"{host} closed the connection without an answer.", cure=ANOTHER_NETWORK)
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        # Not HungUp, which the data endpoint's client would take for a refusal of the certificate.
        return NetworkError(f"{host} does not speak TLS on this port.", cure="check the port; then " + ANOTHER_NETWORK)
    return HungUp(f"{host} closed the TLS connection: {reason}.", cure=ANOTHER_NETWORK)


def _tunnel_failed(error: OSError | http.client.HTTPException, proxy: str) -> ProxyFailed:
    """The proxy answered CONNECT with another status than 200 (http.client's words), or not at all."""
    _, refused, status = str(error).partition("Tunnel connection failed: ")
    if refused:
        said = status.rstrip(".")
    elif isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
        said = "its answer is not HTTP"
    else:
        said = "it closed the connection"
    return ProxyFailed(f"{proxy} did not connect: {said}.", cure=CHECK_PROXY)


def _tcp_failed(error: OSError, peer: str) -> NetworkError:
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
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN):
        return NoRoute(f"there is no route to {peer}.", cure="check the cable or the Wi-Fi: ip address, ip route")
    return NetworkError(
        f"the connection to {peer} failed: {error.strerror or type(error).__name__}.", cure=ANOTHER_NETWORK
    )
