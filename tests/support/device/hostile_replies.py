"""What a server can do to an HTTP client, by name: before TLS, and in answer to a request."""

import gzip
import itertools
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.support.device.hostile_server import Script, Visit

MEGABYTE = 1 << 20
TERMINAL = "\x1b]0;owned\x07\x1b[2J\x1b[31mroot@pi:~# \x9b31m\r‮gnp.exe\x00"
"""What a terminal must not be sent: a new title, a cleared screen, colours, an overwritten line, reversed text."""


def sampled(names: Iterable[str], *, every: int) -> list[Any]:
    """Parameters: each so-manieth runs always, the others with the slow tests."""
    return [
        pytest.param(name, marks=[] if number % every == 0 else [pytest.mark.slow]) for number, name in enumerate(names)
    ]


def response(
    body: bytes = b"", *headers: str, status: str = "200 OK", length: int | str | None = None, version: str = "HTTP/1.1"
) -> bytes:
    """A response that is right unless its parts are not."""
    lines = [f"{version} {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(body: bytes, *headers: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers])
    return head.encode() + b"\r\n\r\n" + body


def _after_request(act: Callable[[Visit], None]) -> Script:
    def script(visit: Visit) -> None:
        visit.secure()
        visit.request()
        act(visit)

    return script


def replying(data: bytes) -> Script:
    """Answer each request with these bytes, and close."""
    return _after_request(lambda visit: visit.send(data))


def _then(data: bytes, act: Callable[[Visit], None]) -> Script:
    def script(visit: Visit) -> None:
        visit.send(data)
        act(visit)

    return _after_request(script)


def _after_first_flight(act: Callable[[Visit], None]) -> Script:
    def script(visit: Visit) -> None:
        visit.receive()
        act(visit)

    return script


def _with_an_old_tls(visit: Visit) -> None:
    visit.speak_old_tls()
    visit.secure()


def _after_handshake(act: Callable[[Visit], None]) -> Script:
    def script(visit: Visit) -> None:
        visit.secure()
        act(visit)

    return script


_HANDSHAKE_RECORD = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"
_ALERT = b"\x15\x03\x03\x00\x02\x01\x5a"  # user_canceled, a warning

BEFORE_HTTP: dict[str, Script] = {
    "closes at once": Visit.close,
    "resets at once": Visit.reset,
    "closes after the client's first flight": _after_first_flight(Visit.close),
    "resets after the client's first flight": _after_first_flight(Visit.reset),
    "closes after the handshake": _after_handshake(Visit.close),
    "resets after the handshake": _after_handshake(Visit.reset),
    "closes after the request": _after_request(Visit.close),
    "resets after the request": _after_request(Visit.reset),
    "says nothing at all": Visit.say_nothing,
    "says nothing after the handshake": _after_handshake(Visit.say_nothing),
    "drips the handshake": _after_first_flight(
        lambda visit: visit.drip(itertools.chain(_HANDSHAKE_RECORD, itertools.repeat(0)))
    ),
    "never ends to warn": _after_first_flight(lambda visit: visit.flood(_ALERT)),
    "speaks TLS 1.1": _with_an_old_tls,
    "speaks SSH": lambda visit: visit.send(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "speaks plain HTTP": _after_first_flight(lambda visit: visit.send(response(b"Bad Request", status="400 No"))),
    "speaks plain garbage": _after_first_flight(lambda visit: visit.flood(b"\xff\x00garbage", most=MEGABYTE)),
}
"""None of these is an answer: exit code 4."""


def _bomb(layers: int = 1, size: int = 64 * MEGABYTE) -> bytes:
    """So many bytes of nothing, compressed to a few thousand."""
    packed = bytes(size)
    for _ in range(layers):
        packed = gzip.compress(packed, 9)
    return packed


_HEAD = b"HTTP/1.1 200 OK\r\n"

REPLIES: dict[str, Script] = {
    "SSH": replying(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "zeros": replying(bytes(4096)),
    "a body alone": replying(b"hello, world"),
    "HTTP/0.9": replying(b"<html>hello</html>"),
    "HTTP/9.9": replying(response(version="HTTP/9.9")),
    "letters for a status": replying(response(status="2OO OK")),
    "a status of five digits": replying(response(status="99999 Much")),
    "a negative status": replying(response(status="-200 OK")),
    "status 0": replying(response(status="000 Nothing")),
    "status 999": replying(response(status="999 Wild")),
    "switching protocols": replying(response(status="101 Switching Protocols")),
    "early hints and no end": _then(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", Visit.close),
    "100 Continue for ever": _after_request(lambda visit: visit.flood(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "102 Processing for ever": _after_request(lambda visit: visit.flood(b"HTTP/1.1 102 Processing\r\n\r\n")),
    "an endless status line": _then(b"HTTP/1.1 200 ", lambda visit: visit.flood(b"O")),
    "an endless header": _then(_HEAD + b"X: ", lambda visit: visit.flood(b"x")),
    "endless headers": _then(_HEAD, lambda visit: visit.flood(b"X: y\r\n")),
    "a header without a colon": replying(_HEAD + b"What is this\r\n\r\nbody"),
    "a header that is no text": replying(_HEAD + b"X-\xff\xfe: \x80\x00\xff\r\nContent-Length: 0\r\n\r\n"),
    "a negative length": replying(response(b"body", length=-4)),
    "a length in letters": replying(response(b"body", length="four")),
    "a length beyond all": replying(response(b"body", length=10**30)),
    "two lengths": replying(response(b"body", "Content-Length: 2")),
    "chunks of letters": replying(chunked(b"zz\r\nbody\r\n0\r\n\r\n")),
    "a negative chunk": replying(chunked(b"-5\r\nbody\r\n0\r\n\r\n")),
    "a chunk beyond all": replying(chunked(b"f" * 40 + b"\r\nbody\r\n0\r\n\r\n")),
    "a chunk that is longer than it says": replying(chunked(b"2\r\nbody\r\n0\r\n\r\n")),
    "a chunk that is cut off": replying(chunked(b"ff\r\nbody")),
    "an endless chunk size": _then(chunked(b"1;"), lambda visit: visit.flood(b"x")),
    "endless trailers": _then(chunked(b"4\r\nbody\r\n0\r\n"), lambda visit: visit.flood(b"X: y\r\n")),
    "endless chunks": _then(chunked(b""), lambda visit: visit.flood(b"1\r\nx\r\n")),
    "a body of 100 MB": _then(response(length=100 * MEGABYTE), lambda visit: visit.flood(b"A", most=100 * MEGABYTE)),
    "a body without an end": _then(_HEAD + b"\r\n", lambda visit: visit.flood(b"A")),
    "a gzip bomb": replying(response(_bomb(), "Content-Encoding: gzip")),
    "a gzip bomb in gzip": replying(response(_bomb(2, 256 * MEGABYTE), "Content-Encoding: gzip, gzip")),
    "a gzip bomb in chunks": replying(
        chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(_bomb()), _bomb()), "Content-Encoding: x-gzip")
    ),
    "a deflate bomb": replying(response(zlib.compress(bytes(64 * MEGABYTE), 9), "Content-Encoding: deflate")),
    "gzip that is none": replying(response(b"\x1f\x8b\x08garbage", "Content-Encoding: gzip")),
    "an encoding that nobody knows": replying(response(b"body", "Content-Encoding: br, zstd, wild")),
    "a dripped status line": _after_request(lambda visit: visit.drip(itertools.cycle(b"HTTP/1.1 "))),
    "dripped headers": _then(_HEAD, lambda visit: visit.drip(itertools.cycle(b"X: y\r\n"))),
    "a dripped body": _then(response(length=MEGABYTE), lambda visit: visit.drip(itertools.repeat(65))),
    "dripped chunks": _then(chunked(b""), lambda visit: visit.drip(itertools.cycle(b"1\r\nx\r\n"))),
    "a status line that is cut off": replying(b"HTTP/1.1 20"),
    "headers that are cut off": replying(_HEAD + b"Content-"),
    "a body that is cut off": replying(response(b"body", length=400)),
    "a reset in the status line": _then(b"HTTP/1.1 20", Visit.reset),
    "a reset in the headers": _then(_HEAD + b"Content-", Visit.reset),
    "a reset in the body": _then(response(b"body", length=400), Visit.reset),
    "a body that stops": _then(response(b"body", length=400), Visit.say_nothing),
    "nothing": replying(response()),
    "no content": replying(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified": replying(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "partial content": replying(response(b"body", status="206 Partial Content")),
    "a page of a Wi-Fi's portal": replying(response(b"<html>Please log in</html>", "Content-Type: text/html")),
    "digest wanted": replying(response(b"no", 'WWW-Authenticate: Digest realm="x", nonce="y"', status="401 No")),
    "negotiation wanted": replying(response(b"no", "WWW-Authenticate: Negotiate", status="401 No")),
    "a proxy's password wanted": replying(
        response(b"no", 'Proxy-Authenticate: Basic realm="x"', status="407 Proxy Authentication Required")
    ),
    "cookies": replying(response(b"no", *["Set-Cookie: a=b; Domain=.com; Expires=never"] * 50, status="403 No")),
    "a sentence for the terminal": replying(response(TERMINAL.encode(), status="400 Bad")),
    "a page of sentences": replying(response(b"why? " * 100_000, status="400 Bad")),
    "a sentence that is no text": replying(response(bytes(range(256)), status="403 No")),
}
"""None of these is an answer that a client can use."""


def redirects(elsewhere: str) -> dict[str, Script]:
    """Redirects to `elsewhere`, an HTTPS URL, and to what is none."""

    def to(location: str, status: str = "302 Found", body: bytes = b"gone") -> Script:
        return replying(response(body, f"Location: {location}", status=status))

    return {
        **{f"{code} elsewhere": to(elsewhere, f"{code} Away") for code in (301, 302, 303, 307, 308)},
        "300 with choices": to(elsewhere, "300 Multiple Choices"),
        "401 elsewhere": to(elsewhere, "401 Away"),
        "a redirect without TLS": to(elsewhere.replace("https://", "http://")),
        "a redirect to //": to(elsewhere.removeprefix("https:")),
        "a redirect to itself": to(""),
        "a redirect to a file": to("file:///etc/shadow"),
        "a redirect that is no URL": to("http://[::bad"),
        "a redirect to a wild port": to("https://localhost:99999999/"),
        "a redirect with credentials": to(elsewhere.replace("https://", "https://a:b@")),
        "a redirect that is no text": to("\xff\x80"),
        "two redirects at once": replying(
            response(b"", f"Location: {elsewhere}", f"Location: {elsewhere}/b", status="302 Found")
        ),
        "a redirect with a header in it": to(elsewhere + "\r\nX: y"),
        "a redirect with 100 MB": _then(
            response(b"", f"Location: {elsewhere}", status="302 Found", length=100 * MEGABYTE),
            lambda visit: visit.flood(b"A", most=100 * MEGABYTE),
        ),
        "a redirect with a gzip bomb": replying(
            response(_bomb(), f"Location: {elsewhere}", "Content-Encoding: gzip", status="302 Found")
        ),
        "a refresh": replying(response(b"wait", f"Refresh: 0; url={elsewhere}", status="403 No")),
    }


RETRY_AFTER = ("0", "-1", "1e9", "9" * 400, "\xb2", "nan", "inf", "0x10", "1.5", "", "tomorrow", "\xff")
RETRY_AFTER_DATES = (
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 99999 23:59:59 GMT",
    "Sun, 06 Nov 2994 08:49:37 -0000",
    "Sun, 06 Nov 1994 08:49:37 +9999999999",
    "Sun, 99 Nov 1994 99:99:99 GMT",
)
