"""Connections through a SOCKS proxy, which need the package PySocks: the extra ``socks``."""

import re
import socket

from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from .connection import Connection
from .cures import CHECK_PROXY
from .errors import ProxyFailed, UsageError


def socks_connection(peer: str) -> type[Connection]:
    """The class of connections that PySocks opens the way of; TLS and HTTP are as ever.

    Args:
        peer: the proxy, in a sentence.

    Raises:
        UsageError: PySocks is not installed.
    """
    try:
        from urllib3.contrib.socks import SOCKSHTTPSConnection
    except ImportError:
        raise UsageError(
            f"{peer} is a SOCKS proxy, and the package PySocks, which speaks to one, is not installed.",
            cure="install it, in the folder of this project: sudo /opt/zymkey-iot/bin/pip install '.[socks]'",
        ) from None

    class SocksConnection(Connection, SOCKSHTTPSConnection):
        def _open(self) -> socket.socket:
            try:
                # The next in line after Connection, whose own TCP would go to the server itself.
                connection: socket.socket = super(Connection, self)._new_conn()
            except NewConnectionError as error:
                said = str(error).partition("Failed to establish a new connection: ")[2]
                raise ProxyFailed(f"{peer} did not connect: {_in_words(said)}.", cure=CHECK_PROXY) from None
            except ConnectTimeoutError:
                raise TimeoutError from None
            return connection

    return SocksConnection


def _in_words(said: str) -> str:
    """Without the number that Python writes before the system's words."""
    return re.sub(r"^\[Errno -?\d+\] ", "", said).rstrip(".")
