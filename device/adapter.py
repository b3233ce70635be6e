"""``requests`` with this device's TLS context, with its connections, and with bounds on what a server may send.

Imported only where the network is used: it costs as much as the rest of most commands. A request goes to the adapter
itself, without a ``requests.Session``: a session follows redirects, or reads the whole body of one that it does not
follow, and takes proxies and passwords from the environment and from ``.netrc``.
"""

import functools
import sys
import warnings
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import DecodeError, InvalidChunkLength

from .connection import Connection
from .connection_errors import Wait, no_answer
from .cures import ANOTHER_NETWORK
from .errors import DeviceError, NetworkError, UnexpectedReply
from .network import Network
from .watch import Watch

LARGEST_BODY = 1 << 20
"""In bytes, decompressed."""

_CHUNK = 1 << 16


@contextmanager
def _no_guesses() -> Iterator[None]:
    """Keep requests from importing what guesses the encoding of text.

    Nothing here has to be guessed, and the package would cost a bootstrap a twelfth of its processor time and 3 MB.
    """
    guessers = ("charset_normalizer", "chardet")
    hidden = {name: sys.modules.get(name) for name in guessers}
    sys.modules.update(dict.fromkeys(guessers))  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses the package
            yield
    finally:
        for name, module in hidden.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


with _no_guesses():
    import requests
    from requests.adapters import HTTPAdapter


class Pool(HTTPSConnectionPool):
    """Of one connection."""

    def open(self) -> Connection:
        """The connection, open and without a request; through the tunnel of the proxy, if there is one."""
        connection = cast(Connection, self._new_conn())
        if self.proxy is None:
            connection.connect()
        else:
            self._prepare_proxy(connection)
        return connection


class Adapter(HTTPAdapter):
    """For one request, or one connection, to one server.

    Args:
        watch: bounds the whole.
        protocol: what ALPN offers.
        timeout: in seconds, for each single wait.
        tls: False for a connection that stops before TLS.
    """

    def __init__(
        self, network: Network, host: str, port: int, *, watch: Watch, protocol: str, timeout: float, tls: bool = True
    ) -> None:
        self._host = host
        self.watch, self._timeout, self._context = watch, timeout, network.context
        self._proxy = network.proxy_for(host, port)
        peer = f"{host} port {port}" if self._proxy is None else self._proxy.peer
        self._connection = functools.partial(
            self._connection_class(), server=host, peer=peer, watch=watch, protocol=protocol, tls=tls
        )
        super().__init__(pool_connections=1, pool_maxsize=1)

    def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request; return status, headers by their names in lower case, and body.

        Raises:
            UnexpectedReply: the answer breaks the rules of HTTP, or is too long.
            NetworkError, ServerNotTrusted: as ``Connection`` raises them.
        """
        request = requests.PreparedRequest()
        request.prepare(method=method, url=url, headers=headers, data=body)
        # As it was: requests resolves the dots of a topic such as devices/../x, which AWS IoT takes literally.
        request.url = url
        try:
            response = self.send(request, stream=True, timeout=self._timeout, proxies=self._proxies())
        except requests.RequestException:
            # Such as two lengths that differ. What a person can repair has been said by the connection.
            raise self._not_http() from None
        with response:
            received = {name.lower(): value for name, value in response.headers.items()}
            try:
                return response.status_code, received, self._whole_body(response)
            except requests.RequestException as error:
                raise self._body_failed(error) from None
            except ValueError:  # http.client's, of a chunk with a negative length
                raise self._not_http() from None

    def _whole_body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > LARGEST_BODY:
                raise UnexpectedReply(
                    f"{self._host} sends an answer of more than {LARGEST_BODY >> 20} MB, which none of its answers is.",
                    cure="check the URL; " + ANOTHER_NETWORK,
                )
        if self.watch.expired:
            raise requests.ConnectionError  # an answer without a length ends with its connection
        return bytes(body)

    def _body_failed(self, error: requests.RequestException) -> DeviceError:
        if self.watch.expired or isinstance(error, requests.ConnectionError):
            return no_answer(wait=Wait.BODY, peer=self._host, host=self._host, seconds=self.watch.seconds)
        # Of urllib3's errors, the one that requests has wrapped, and the one that urllib3 itself has wrapped in that.
        reasons = [*error.args, *(each for given in error.args for each in getattr(given, "args", ()))]
        if any(isinstance(reason, DecodeError | InvalidChunkLength) for reason in reasons):
            return self._not_http()
        return NetworkError(f"{self._host} closed the connection in the middle of its answer.", cure=ANOTHER_NETWORK)

    def _not_http(self) -> UnexpectedReply:
        return UnexpectedReply(f"{self._host} sent an answer that is not HTTP.", cure=ANOTHER_NETWORK)

    def open(self, url: str) -> Connection:
        """A connection to the server of ``url``, without a request."""
        request = requests.PreparedRequest()
        request.url = url
        pool: Pool = self.get_connection_with_tls_context(request, verify=True, proxies=self._proxies())
        return pool.open()

    def _connection_class(self) -> type[Connection]:
        if self._proxy is None or not self._proxy.is_socks:
            return Connection
        # Imported here: few devices have such a proxy.
        from .socks_connection import socks_connection

        return socks_connection(self._proxy.peer)

    def _proxies(self) -> dict[str, str]:
        return {} if self._proxy is None else {"https": self._proxy.url}

    # What follows is called by requests.

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, timeout=self._timeout, **options)
        self.poolmanager.pool_classes_by_scheme = {"https": Pool}

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if proxy.startswith("https:"):
            # Another context, so that the proxy does not get to see the device's certificate.
            options["proxy_ssl_context"] = self._context.without_identity()
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, timeout=self._timeout, **options)
        manager.pool_classes_by_scheme = {"https": Pool}
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """UTF-8, which RFC 7617 lets a server ask for; requests can send nothing but Latin-1."""
        if self._proxy is None or self._proxy.user is None:
            return {}
        credentials = f"{self._proxy.user}:{self._proxy.password or ''}".encode()
        return {"Proxy-Authorization": f"Basic {b64encode(credentials).decode()}"}

    def build_connection_pool_key_attributes(self, *arguments: Any, **options: Any) -> Any:
        """Where to connect to, and nothing about TLS: the context says all of it."""
        server, _ = super().build_connection_pool_key_attributes(*arguments, **options)
        return server, {}

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        pool = cast(Pool, super().get_connection_with_tls_context(*arguments, **options))
        pool.ConnectionCls = cast(Any, self._connection)
        return pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing: the context verifies. requests would add its own roots to the context's."""
