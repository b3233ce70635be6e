"""HTTP at the data endpoint: many requests on one connection, and bad ones answered."""

import json
from collections.abc import Mapping

import pytest

from sandbox.data_endpoint.conversation import converse
from sandbox.data_endpoint.publishing import MAX_PAYLOAD, Reply


class Client:
    """Sends `requests` piece by piece and keeps what comes back."""

    def __init__(self, *requests: bytes) -> None:
        self._pieces = list(requests)
        self.received = b""

    def receive(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def send(self, data: bytes) -> None:
        self.received += data


def echo(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
    asked = f"{method} {target} {body.decode()}"
    return Reply(status=200, body={"asked": asked, "host": headers["host"]}, headers={"x-extra": "1"})


def request(body: bytes, headers: str = "") -> bytes:
    head = f"POST /topics/a HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def talk(*pieces: bytes) -> bytes:
    client = Client(*pieces)
    converse(client, echo)
    return client.received


def test_a_request_is_answered_with_headers_and_length() -> None:
    head, _, body = talk(request(b"hello")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"x-extra: 1" in head
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert json.loads(body) == {"asked": "POST /topics/a hello", "host": "x"}


def test_a_connection_serves_many_requests() -> None:
    assert talk(request(b"one"), request(b"two"), request(b"three")).count(b"HTTP/1.1 200") == 3


def test_requests_may_arrive_in_any_pieces() -> None:
    whole = request(b"one") + request(b"two")
    assert talk(*[whole[i : i + 7] for i in range(0, len(whole), 7)]).count(b"HTTP/1.1 200") == 2


def test_a_client_that_asks_to_close_is_not_answered_twice() -> None:
    assert talk(request(b"one", "Connection: close\r\n"), request(b"two")).count(b"HTTP/1.1 200") == 1


def test_a_client_that_waits_for_permission_to_send_gets_it() -> None:
    head, body = request(b"hello", "Expect: 100-continue\r\n").split(b"\r\n\r\n")
    assert talk(head + b"\r\n\r\n", body).startswith(b"HTTP/1.1 100")


@pytest.mark.parametrize(("size", "status"), [(MAX_PAYLOAD, b"200"), (MAX_PAYLOAD + 1, b"413")])
def test_the_size_limit_is_aws_iots(size: int, status: bytes) -> None:
    assert talk(request(b"x" * size)).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("nonsense", [b"\x00\x01\x02\r\n\r\n", b"POST /topics/a HTTP/1.1\r\nNo colon\r\n\r\n"])
def test_nonsense_is_400_and_the_end(nonsense: bytes) -> None:
    reply = talk(nonsense, request(b"one"))
    assert reply.startswith(b"HTTP/1.1 400")
    assert reply.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("start", [b"", b"POST /topics/a HTTP/1.1\r\nHost"])
def test_a_client_that_leaves_without_a_whole_request_ends_it(start: bytes) -> None:
    assert b"200" not in talk(start)
