"""One HTTPS connection of urllib3's, which knows what it waits for and says what fails in this device's words."""

import http.client
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import InvalidHeader, SystemTimeWarning

from . import tcp
from .client_context import ClientContext
from .connection_errors import Wait, explain, no_answer
from .errors import DeviceError, ProxyFailed
from .watch import Watch

# A wrong clock has a sentence of its own here.
warnings.simplefilter("ignore", SystemTimeWarning)


class Connection(HTTPSConnection):
    """One connection. It raises DeviceErrors, which urllib3 and requests let pass; their cause is Python's own error.

    Args:
        server: the host whose certificate counts.
        peer: what TCP connects to: the server, or a proxy, and its port.
        protocol: what ALPN offers.
        tls: False to stop before it: TCP, and the tunnel if there is a proxy.
    """

    ssl_context: ClientContext
    timeout: float
    sock: Any

    def __init__(
        self, *arguments: Any, server: str, peer: str, watch: Watch, protocol: str, tls: bool, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._server, self._peer, self._watch = server, peer, watch
        self._protocol, self._tls = protocol, tls

    def connect(self) -> None:
        with self._waiting(Wait.TCP), self.ssl_context.offering(self._protocol):
            if self._tls:
                super().connect()
            else:
                HTTPConnection.connect(self)

    def request(self, *arguments: Any, **options: Any) -> None:
        with self._waiting(Wait.ANSWER):
            try:
                super().request(*arguments, **options)
            except (BrokenPipeError, ConnectionResetError):
                return  # A server that does not read to the end may have answered: getresponse finds out.

    def getresponse(self) -> Any:
        with self._waiting(Wait.ANSWER):
            try:
                response = super().getresponse()
            except InvalidHeader as error:  # such as two lengths that differ
                raise http.client.HTTPException(str(error)) from error
            if self._watch.expired:
                raise TimeoutError  # http.client takes a head that is cut off for a whole one
            return response

    def _new_conn(self) -> socket.socket:
        connection = self._open()
        self._watch.guard(connection)
        self._waits_for(Wait.TLS)
        return connection

    def _open(self) -> socket.socket:
        return tcp.connect(self._dns_host, self.port, timeout=self.timeout)

    def _connect_tls_proxy(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super()._connect_tls_proxy(*arguments, **options)
        except OSError as error:
            reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or type(error).__name__
            raise ProxyFailed(
                f"TLS with {self._peer} failed: {str(reason).replace('_', ' ').lower()}.",
                cure="most proxies speak plain HTTP themselves: write http:// before the proxy's name",
            ) from error

    def _tunnel(self) -> None:
        self._waits_for(Wait.TUNNEL)
        super()._tunnel()
        self._waits_for(Wait.TLS)

    def _waits_for(self, wait: Wait) -> None:
        self._watch.wait, self._since = wait, time.monotonic()

    @contextmanager
    def _waiting(self, wait: Wait) -> Iterator[None]:
        self._waits_for(wait)
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            raise self.explain(error) from error

    def explain(self, error: OSError | http.client.HTTPException) -> DeviceError:
        """What an error means that came while this connection waited."""
        wait, names = self._watch.wait, {"peer": self._peer, "host": self._server}
        if self._watch.expired:
            return no_answer(wait=wait, seconds=self._watch.seconds, **names)
        roots = self.ssl_context.given_roots
        return explain(error, wait=wait, seconds=time.monotonic() - self._since, given_roots=roots, **names)
