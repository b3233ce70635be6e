"""AWS IoT's credential provider as a device sees it: mutual TLS, role aliases, and the ways in which it says no."""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.support.device.tls_server import TlsServer, mutual_tls

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//token=="
ALIAS = "loopback-device"


@dataclass(frozen=True)
class Refusal:
    """An answer other than 200, with AWS's sentence."""

    status: int
    message: str


class CredentialProvider(TlsServer):
    """Gives credentials that live for `seconds` to whoever shows a certificate of `client_ca`.

    `aliases` are those that there are. `refusals` come first, one for each request; `end` closes that many connections
    without an answer.
    """

    def __init__(self, server_pem: Path, client_ca: Path) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(mutual_tls(server_pem, client_ca), Handler)
        self.seconds = 3600.0
        self.aliases = {ALIAS}
        self.refusals: list[Refusal] = []
        self.end = 0
        self.body: bytes | None = None
        self.meanwhile: Callable[[], object] | None = None
        """What happens on the device while a request is answered."""
        self.asked: list[tuple[str, str | None]] = []
        """Path and thing of each request."""

    @property
    def endpoint(self) -> str:
        return f"localhost:{self.port}"

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append((handler.path, handler.headers.get("x-amzn-iot-thingname")))
        if self.meanwhile is not None:
            self.meanwhile()
        if self.end:
            self.end -= 1
            handler.close_connection = True
            return
        status, document = self._answer(handler.path)
        body = self.body if self.body is not None and status == 200 else json.dumps(document).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _answer(self, path: str) -> tuple[int, dict[str, Any]]:
        if self.refusals:
            refusal = self.refusals.pop(0)
            return refusal.status, {"message": refusal.message}
        if path not in {f"/role-aliases/{alias}/credentials" for alias in self.aliases}:
            return 404, {"message": "Role alias does not exist"}
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.seconds)
        return 200, {
            "credentials": {
                "accessKeyId": f"ASIAEXAMPLE{len(self.asked)}",
                "secretAccessKey": SECRET,
                "sessionToken": TOKEN,
                "expiration": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            }
        }
