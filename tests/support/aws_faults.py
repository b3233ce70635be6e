"""AWS calls that go wrong: refused, throttled, without a reply, or the function killed or overtaken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError


class Killed(BaseException):
    """The function's end: out of time, out of memory. Nothing after this runs in AWS."""


@dataclass
class Faults:
    """Counts the calls of some boto3 clients, and breaks one of them.

    Attributes:
        position: which call breaks, from 0; None for none.
        operation: the first call of this operation breaks.
        kind: ``refused`` (a 500 before anything happens), ``outage`` (the same, and for every call after it),
            ``throttled``, ``lost`` (it happens, the reply does not come), ``killed`` (it happens, and the process is
            gone), ``meanwhile`` (the call works, and something else happened just before it).
        meanwhile: what happened just before the call.
        calls: the operations that were called so far, broken ones included.
    """

    position: int | None = None
    operation: str | None = None
    kind: str = "refused"
    meanwhile: Callable[[], object] = lambda: None
    calls: list[str] = field(default_factory=list)
    fired: bool = False

    def watch(self, *clients: Any) -> None:
        """Stand between the clients and AWS, in the place of what stood there before."""
        for client in clients:
            client.meta.events.unregister("before-send", unique_id="faults")
            send = client._endpoint.http_session.send
            client.meta.events.register(
                "before-send",
                lambda request, event_name, send=send, **_: self._call(request, event_name, send),
                unique_id="faults",
            )

    def _call(self, request: Any, event_name: str, send: Any) -> AWSResponse | None:
        if self.fired and self.kind == "killed":
            raise Killed
        operation = event_name.rsplit(".", 1)[1]
        self.calls.append(operation)
        if self.fired and self.kind == "outage":
            return error_reply(request.url, 500, "InternalServerError")
        if self.fired or not (self.position == len(self.calls) - 1 or self.operation == operation):
            return None
        self.fired = True
        if self.kind == "meanwhile":
            self.meanwhile()
            return None
        if self.kind in ("refused", "outage"):
            return error_reply(request.url, 500, "InternalServerError")
        if self.kind == "throttled":
            return error_reply(request.url, 400, "ThrottlingException")
        send(request)  # it takes effect …
        if self.kind == "killed":
            raise Killed
        raise ConnectionClosedError(endpoint_url=request.url)  # … and nobody hears of it


class _Raw:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._content

    def read(self, *_: Any, **__: Any) -> bytes:
        return self._content


def json_reply(url: str, content: str) -> AWSResponse:
    """What AWS answers when all is well."""
    return AWSResponse(url, 200, {"content-type": "application/json"}, _Raw(content.encode()))


def error_reply(url: str, status: int, code: str) -> AWSResponse:
    """An error that the JSON protocols of DynamoDB, KMS and AWS IoT all read as such."""
    body = f'{{"__type": "{code}", "message": "broken on purpose"}}'.encode()
    return AWSResponse(url, status, {"x-amzn-ErrorType": code, "content-type": "application/json"}, _Raw(body))
