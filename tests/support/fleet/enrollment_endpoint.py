"""The deployment's HTTP API on loopback: its own function, behind a server that makes the events API Gateway makes."""

import io
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from functions.deployment import Choices, Deployment
from functions.handlers import http_api
from functions.log import log
from tests.support.fleet.deployment import THINGS_OF


def deployment(cloud, *, issuer, ca_certificates=(), uninvited="refuse"):
    """What the function is given; CA certificates oldest first."""
    choices = Choices(
        fleet=THINGS_OF,
        issuer=issuer,
        ledger_table=cloud.table,
        iot_policy=cloud.policy,
        ca_certificates=tuple(ca_certificates),
        ca_key_arn="",
        subject={},
        validity_days=365,
        topics={"publish": ["devices/{device}/*"], "subscribe": ["devices/{device}/*"]},
        uninvited=uninvited,
    )
    return Deployment(choices=choices, ledger=cloud.ledger, iot=cloud.iot, iot_once=cloud.iot, kms=None)


def handler(deployment):
    """What answers one connection with the function's answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer("GET")

        def do_POST(self):
            self._answer("POST")

        def log_message(self, *_):
            pass

        def _answer(self, method):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            event = {
                "version": "2.0",
                "routeKey": f"{method} {self.path}",
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body.decode(),
                "isBase64Encoded": False,
                "requestContext": {"requestId": "request-1"},
            }
            reply = http_api.answer(event, deployment)
            self.send_response(reply["statusCode"])
            for name, value in reply["headers"].items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply["body"].encode())

    return Handler


@contextmanager
def serving(deployment):
    """Serve one deployment over plain HTTP; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(deployment))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    log.stream = io.StringIO()  # what the function says is none of the command's answer
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        log.stream = None
        server.shutdown()
        server.server_close()
        thread.join()
