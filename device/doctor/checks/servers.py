"""The connection to the two servers, step by step: name, port, and the server's certificate."""

import http.client
import socket
import ssl
import time

from ... import https
from ...errors import ClockWrong, DeviceError, ServerNotTrusted
from ...network import Network
from ...settings import Settings
from ..examination import Examination
from ..finding import Finding, Skipped, Status, ok, warning
from ..server import Server

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For connections that are closed before TLS begins."""


def enrollment_dns(examination: Examination) -> Finding:
    return _resolve(examination.enrollment_server, examination)


def enrollment_port(examination: Examination) -> Finding:
    return _reach(examination.enrollment_server, examination)


def enrollment_server(examination: Examination) -> Finding:
    return _verify(examination.enrollment_server, examination)


def endpoint_dns(examination: Examination) -> Finding:
    return _resolve(examination.data_endpoint, examination)


def endpoint_https_port(examination: Examination) -> Finding:
    return _reach(examination.data_endpoint, examination)


def endpoint_mqtt_port(examination: Examination) -> Finding:
    """Without a proxy, as MQTT connects. Bootstrap and publish need HTTPS only, so a failure is a warning here."""
    host, port = examination.configuration.data_endpoint, examination.configuration.mqtt_port
    started = time.monotonic()
    try:
        socket.create_connection((host, port), examination.timeout).close()
    except OSError as error:
        failure = https.explain(error, peer=f"{host} port {port}", host=host, timeout=examination.timeout)
        return warning(f"{failure.cause} Only programs that use MQTT need this port.", cure=failure.cure)
    return ok(f"{host} port {port}, {_milliseconds(started)}")


def endpoint_server(examination: Examination) -> Finding:
    return _verify(examination.data_endpoint, examination)


def _resolve(server: Server, examination: Examination) -> Finding:
    """Resolve the name that TCP connects to: the server's, or the proxy's."""
    connection, peer = _connection(server, examination, _NO_TLS)
    try:
        found = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, UnicodeError):
            error = socket.gaierror(socket.EAI_NONAME, "it is not a host name")
        raise https.explain(error, peer=peer, host=server.host, timeout=examination.timeout) from None
    addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
    shown = ", ".join(addresses[:3]) + (" …" if len(addresses) > 3 else "")
    if connection.host != server.host:
        return ok(f"{peer} is {shown}; the proxy resolves {server.host}", addresses=addresses)
    if addresses == [server.host]:
        return ok(f"{shown} is an address and needs no DNS", addresses=addresses)
    return ok(f"{server.host} is {shown}", addresses=addresses)


def _reach(server: Server, examination: Examination) -> Finding:
    connection, peer = _connection(server, examination, _NO_TLS)
    started = time.monotonic()
    try:
        # TCP, and CONNECT to a proxy if there is one: what HTTPSConnection does before TLS.
        http.client.HTTPConnection.connect(connection)
    except (OSError, http.client.HTTPException) as error:
        raise https.explain(error, peer=peer, host=server.host, timeout=examination.timeout) from None
    finally:
        connection.close()
    through = f", through {peer}" if connection.host != server.host else ""
    return ok(f"{server.host} port {server.port}, {_milliseconds(started)}{through}")


def _verify(server: Server, examination: Examination) -> Finding:
    from ..tls_probe import issuer_in_words

    if examination.results["clock"].status is Status.FAILED:
        raise Skipped("no certificate can be verified while the clock is wrong.", needs="clock")
    connection, peer = _connection(server, examination, examination.network.context)
    try:
        connection.connect()
        found = f"verified, {connection.sock.version()}, issued by {issuer_in_words(connection.sock)}"
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
            # TLS 1.2: a server that requires a client certificate stops here, after it has proved its own.
            return ok("verified, and asks for the device's certificate")
        failure = https.explain(error, peer=peer, host=server.host, timeout=examination.timeout)
        if isinstance(failure, ServerNotTrusted) and not isinstance(failure, ClockWrong):
            probe = examination.probe(server)
            issuer = "" if isinstance(probe, DeviceError) else probe.issuer
            failure = _explained(failure, issuer, examination.settings)
        raise failure from None
    finally:
        connection.close()
    return ok(found)


def _explained(failure: ServerNotTrusted, issuer: str, settings: Settings) -> ServerNotTrusted:
    """The same failure with the issuer of that certificate: a proxy that opens TLS shows its own name there."""
    cause = f"{failure.cause} It was issued by {issuer}." if issuer else failure.cause
    if settings.ca_file is None:
        return ServerNotTrusted(cause, cure=failure.cure)
    trusted = f"only the roots in {settings.ca_file} ({settings.sources['ca_file']}) are trusted"
    return ServerNotTrusted(f"{cause.rstrip('.')}; {trusted}.", cure=f"{failure.cure}; for AWS leave --ca-file out")


def _connection(
    server: Server, examination: Examination, context: ssl.SSLContext
) -> tuple[http.client.HTTPSConnection, str]:
    network = Network.from_settings(examination.settings, context=context)
    return https.open_connection(server.host, server.port, network=network, timeout=examination.timeout)


def _milliseconds(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
