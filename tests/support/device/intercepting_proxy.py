"""A web proxy that opens TLS, as company networks have them: it shows certificates of its own and reads along."""

import socket
import ssl
import threading
from pathlib import Path
from typing import Self

from tests.support.device.authority import Authority


class InterceptingProxy:
    """Answers CONNECT, then talks TLS with either side. `issuer` is the name that its certificates give."""

    def __init__(self, folder: Path, *, issuer: str) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(Authority(issuer).write_server(folder, "localhost", "127.0.0.1"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                host, _, port = _read_head(client).split()[1].decode().rpartition(":")
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with self._context.wrap_socket(client, server_side=True) as inside, _tls_to(host, int(port)) as outside:
                    outside.sendall(_read_head(inside))
                    inside.sendall(_read_head(outside))
        except (OSError, ValueError, IndexError):
            # The client has seen whose certificate it is, and gone.
            return


def _read_head(connection: socket.socket) -> bytes:
    """What comes up to the empty line that ends the head of a message."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            break
        data += more
    return data


def _tls_to(host: str, port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((host, port), 10), server_hostname=host)
