"""The way to the two servers, step by step: name, port, and whom the server proves to be."""

import http.client
import socket
import ssl
import time

from ... import https
from ...errors import ClockWrong, DeviceError, ServerNotTrusted
from ...settings import Settings
from ..examination import Examination
from ..finding import Finding, Skipped, Status, ok, warning
from ..server import Server

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For connections that end before TLS begins."""


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
    """Directly: MQTT goes through no proxy. HTTPS is enough for bootstrap and publish, so this only warns."""
    host, port = examination.configuration.data_endpoint, examination.configuration.mqtt_port
    started = time.monotonic()
    try:
        socket.create_connection((host, port), examination.timeout).close()
    except OSError as error:
        failure = https.explain(error, peer=f"{host} port {port}", host=host, timeout=examination.timeout)
        return warning(f"{failure.cause} HTTPS does not need it; programs that use MQTT do.", cure=failure.cure)
    return ok(f"{host} port {port}, {_milliseconds(started)}")


def endpoint_server(examination: Examination) -> Finding:
    return _verify(examination.data_endpoint, examination)


def _resolve(server: Server, examination: Examination) -> Finding:
    """The name that TCP goes to: the server's, or that of the proxy on the way to it."""
    connection, peer = _connection(server, examination, _NO_TLS)
    try:
        found = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, UnicodeError):
            error = socket.gaierror(socket.EAI_NONAME, "it is no host name")
        raise https.explain(error, peer=peer, host=server.host, timeout=examination.timeout) from None
    addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
    shown = ", ".join(addresses[:3]) + (" …" if len(addresses) > 3 else "")
    if connection.host != server.host:
        return ok(f"{peer} is {shown}; it resolves {server.host}", addresses=addresses)
    if addresses == [server.host]:
        return ok(f"{shown} is an address and needs no DNS", addresses=addresses)
    return ok(f"{server.host} is {shown}", addresses=addresses)


def _reach(server: Server, examination: Examination) -> Finding:
    connection, peer = _connection(server, examination, _NO_TLS)
    started = time.monotonic()
    try:
        # TCP, and CONNECT where there is a proxy: what HTTPSConnection does before TLS.
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
        raise Skipped("with a wrong clock no certificate can be verified.", needs="clock")
    connection, peer = _connection(server, examination, examination.context)
    try:
        connection.connect()
        found = f"verified, {connection.sock.version()}, issued by {issuer_in_words(connection.sock)}"
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
            # TLS 1.2: a server that insists on a client's certificate ends here, after it has proved its own.
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
    """The same, and who issued that certificate: a proxy that opens TLS tells its own name there."""
    cause = f"{failure.cause} It was issued by {issuer}." if issuer else failure.cause
    if settings.ca_file is None:
        return ServerNotTrusted(cause, cure=failure.cure)
    trusted = f"only the roots in {settings.ca_file} ({settings.sources['ca_file']}) are trusted"
    return ServerNotTrusted(f"{cause.rstrip('.')}; {trusted}.", cure=f"{failure.cure}; AWS needs no --ca-file")


def _connection(
    server: Server, examination: Examination, context: ssl.SSLContext
) -> tuple[http.client.HTTPSConnection, str]:
    return https.open_connection(server.host, server.port, context=context, timeout=examination.timeout)


def _milliseconds(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
