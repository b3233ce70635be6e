"""The connection to the two servers, step by step: name, port, and the server's certificate."""

import ssl
import time
from collections.abc import Callable
from dataclasses import replace

from ... import https, tcp
from ...connection_errors import explain
from ...errors import ClockWrong, DeviceError, ServerNotTrusted
from ...shared_port import MQTT, SHARED_PORT, DataPort
from ..examination import Examination
from ..finding import Finding, Skipped, Status, ok, warning
from ..server import Server


def enrollment_dns(examination: Examination) -> Finding:
    return _resolve(examination.enrollment_server, examination)


def enrollment_port(examination: Examination) -> Finding:
    return _reach(examination.enrollment_server, examination)


def enrollment_server(examination: Examination) -> Finding:
    return _verify(examination.enrollment_server, examination)


def endpoint_dns(examination: Examination) -> Finding:
    return _resolve(examination.data_endpoint, examination)


def endpoint_https_port(examination: Examination) -> Finding:
    endpoint = examination.data_endpoint
    return _reach_either(
        examination.https_port,
        lambda port, _: _reach(replace(endpoint, port=port), examination),
        keep="--https-port",
    )


def endpoint_mqtt_port(examination: Examination) -> Finding:
    """Without a proxy, as MQTT connects. Bootstrap and publish need HTTPS only, so a failure is a warning here."""
    host = examination.configuration.data_endpoint

    def connect(port: int, _: str | None) -> Finding:
        started = time.monotonic()
        try:
            tcp.connect(host, port, timeout=examination.timeout).close()
        except OSError as error:
            seconds = time.monotonic() - started
            raise explain(error, peer=f"{host} port {port}", host=host, seconds=seconds) from None
        return ok(f"{host} port {port}, {_milliseconds(started)}")

    fixed = examination.settings.mqtt_port is not None
    try:
        return _reach_either(
            DataPort(examination.configuration.mqtt_port, MQTT, fixed=fixed), connect, keep="--mqtt-port"
        )
    except DeviceError as failure:
        return warning(f"{failure.cause} Only programs that use MQTT need this port.", cure=failure.cure)


def endpoint_server(examination: Examination) -> Finding:
    return _verify(examination.data_endpoint, examination)


def _reach_either(port: DataPort, reach: Callable[[int, str | None], Finding], *, keep: str) -> Finding:
    """A warning when only port 443 is open: each command then tries the other one first."""
    told: list[str] = []
    port.tell = told.append
    found = port.reach(reach)
    if not told:
        return found
    cure = f"open that port, or keep {SHARED_PORT}, which saves each command the attempt: {keep} {SHARED_PORT}"
    return warning(told[0], cure=cure)


def _resolve(server: Server, examination: Examination) -> Finding:
    """Resolve the name that TCP connects to: the server's, or the proxy's."""
    proxy = examination.route.proxy_for(server.host, server.port)
    host, port = (proxy.host, proxy.port) if proxy else (server.host, server.port)
    started = time.monotonic()
    try:
        found = tcp.resolve(host, port)
    except OSError as error:
        seconds, peer = time.monotonic() - started, proxy.peer if proxy else f"{host} port {port}"
        raise explain(error, peer=peer, host=server.host, seconds=seconds) from None
    addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
    shown = ", ".join(addresses[:3]) + (" …" if len(addresses) > 3 else "")
    if proxy:
        return ok(f"{proxy.peer} is {shown}; the proxy resolves {server.host}", addresses=addresses)
    if addresses == [server.host]:
        return ok(f"{shown} is an address and needs no DNS", addresses=addresses)
    return ok(f"{server.host} is {shown}", addresses=addresses)


def _reach(server: Server, examination: Examination) -> Finding:
    route = examination.route
    started = time.monotonic()
    with https.connection(server.host, server.port, network=route, timeout=examination.timeout, tls=False):
        took = _milliseconds(started)
    proxy = route.proxy_for(server.host, server.port)
    return ok(f"{server.host} port {server.port}, {took}" + (f", through {proxy.peer}" if proxy else ""))


def _verify(server: Server, examination: Examination) -> Finding:
    from ..tls_probe import issuer_in_words

    if examination.results["clock"].status is Status.FAILED:
        raise Skipped("no certificate can be verified while the clock is wrong.", needs="clock")
    try:
        with https.connection(
            server.host,
            server.port,
            network=examination.network,
            timeout=examination.timeout,
            protocol=server.protocol,
        ) as connection:
            return ok(f"verified, {connection.sock.version()}, issued by {issuer_in_words(connection)}")
    except DeviceError as failure:
        if isinstance(failure.__cause__, ssl.SSLError) and "ALERT" in (failure.__cause__.reason or ""):
            # TLS 1.2: a server that requires a client certificate stops here, after it has proved its own.
            return ok("verified, and asks for the device's certificate")
        if isinstance(failure, ServerNotTrusted) and not isinstance(failure, ClockWrong):
            probe = examination.probe(server)
            issuer = "" if isinstance(probe, DeviceError) else probe.issuer
            if issuer:  # a proxy that opens TLS shows its own name there
                failure = ServerNotTrusted(f"{failure.cause} It was issued by {issuer}.", cure=failure.cure)
        raise failure from None


def _milliseconds(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
