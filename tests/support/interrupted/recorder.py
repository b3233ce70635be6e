"""A relay in front of AWS's address that notes which calls a command has made so far."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_HOP = {"connection", "transfer-encoding", "content-length"}


class Recorder:
    """Passes requests on to `address`, an http:// URL. `calls` has an entry for each: its name, and whether answered.

    `first` is set when the first call comes: what was before that is the command's start.
    """

    def __init__(self, address: str) -> None:
        recorder = self
        host = urlsplit(address).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # the command was killed
                    self.close_connection = True

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with recorder.call(_name(self.command, self.path, self.headers.get("X-Amz-Target", ""), body)):
                    upstream = http.client.HTTPConnection(host, timeout=30)
                    upstream.request(self.command, self.path, body, dict(self.headers))
                    reply = upstream.getresponse()
                    content = reply.read()
                self.send_response(reply.status)
                for name, value in reply.getheaders():
                    if name.lower() not in _HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                upstream.close()

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _pass_on  # noqa: N815 - as http.server calls them

        self.calls: list[list[str]] = []
        self.first = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """A call that comes now, and is answered when the with block ends."""
        call = [name, "sent"]
        self.calls.append(call)
        self.first.set()
        yield
        call[1] = "answered"

    def forget(self) -> None:
        """Begin anew, for another run."""
        self.calls = []
        self.first.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _name(method: str, path: str, target: str, body: bytes) -> str:
    """The operation, as far as a reader needs it: DynamoDB and KMS name it in a header, others in the body or path."""
    if target:
        return target.rpartition(".")[2]
    action = re.search(rb"Action=(\w+)", body)
    if action:
        return action[1].decode()
    return f"{method} /{urlsplit(path).path.strip('/').split('/')[0]}"
