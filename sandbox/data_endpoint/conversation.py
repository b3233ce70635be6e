"""HTTP/1.1 over one TLS connection, with h11 doing the protocol."""

from collections.abc import Callable, Mapping
from typing import Protocol

import h11

from .publishing import MAX_PAYLOAD, Reply, error

# Method, target, headers by their names in lower case, and body in; reply out.
Answer = Callable[[str, str, Mapping[str, str], bytes], Reply]


class Stream(Protocol):
    """A connected byte stream: b"" from ``receive`` means that the client has ended it."""

    def receive(self) -> bytes: ...

    def send(self, data: bytes) -> None: ...


def converse(stream: Stream, answer: Answer) -> None:
    """Answer requests until either side ends the connection."""
    http = h11.Connection(h11.SERVER)
    while True:
        try:
            request, body = _next_request(http, stream)
            if request is None:
                return
            _send(
                http,
                stream,
                answer(request.method.decode(), request.target.decode(), _headers(request), body)
                if len(body) <= MAX_PAYLOAD
                else error(413, "RequestEntityTooLargeException", f"More than {MAX_PAYLOAD} bytes."),
            )
        except h11.RemoteProtocolError as mistake:
            if http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                _send(http, stream, error(mistake.error_status_hint, "InvalidRequestException", str(mistake)))
            return
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            return
        http.start_next_cycle()


def _headers(request: h11.Request) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers}


def _next_request(http: h11.Connection, stream: Stream) -> tuple[h11.Request | None, bytes]:
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            if http.they_are_waiting_for_100_continue:
                _send_event(http, stream, h11.InformationalResponse(status_code=100, headers=[]))
            http.receive_data(stream.receive())
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            # What is over the limit is read, so that the client gets to read its 413, but not kept.
            body += event.data[: MAX_PAYLOAD + 1 - len(body)]
        elif isinstance(event, h11.EndOfMessage):
            return request, bytes(body)
        else:
            return None, b""


def _send(http: h11.Connection, stream: Stream, reply: Reply) -> None:
    content = reply.content()
    headers = [
        ("content-type", "application/json"),
        ("content-length", str(len(content))),
        *reply.headers.items(),
    ]
    _send_event(http, stream, h11.Response(status_code=reply.status, headers=headers))
    _send_event(http, stream, h11.Data(data=content))
    _send_event(http, stream, h11.EndOfMessage())


def _send_event(http: h11.Connection, stream: Stream, event: h11.Event) -> None:
    data = http.send(event)
    if data:
        stream.send(data)
