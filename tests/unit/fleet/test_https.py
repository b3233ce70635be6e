"""Requests to the deployment's own API: they carry what the command gives them, and go where it says."""

import gzip
import json
import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fleet.enrollment_api import EnrollmentApi
from fleet.errors import FleetError, SdkFailed, UnexpectedReply, Unreachable
from fleet.https import HttpsSession
from fleet.smoke_test.connections import Endpoint
from tests.support.fleet.authority import issue, new_key

SECRET = "PlantedSecret0123456789abcdef"
CONFIGURATION = {"dataEndpoint": "iot.example.com", "httpsPort": 8443, "mqttPort": 8883, "topics": {}, "issuer": "kms"}


@pytest.fixture(autouse=True)
def machine_with_credentials(monkeypatch, tmp_path):
    """A .netrc for every host, as build machines have one."""
    (tmp_path / ".netrc").write_text(f"default login somebody password {SECRET}\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CA_BUNDLE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


@contextmanager
def serving(status=200, body=b"{}", **headers):
    """A server that answers everything with this. Yields its URL, and the headers of what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(dict(self.headers.items()))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_no_request_takes_credentials_from_netrc_or_from_the_url():
    with serving() as (url, asked):
        HttpsSession().send("GET", url)
        HttpsSession().send("GET", url.replace("//", f"//somebody:{SECRET}@"))
        HttpsSession().send("POST", url, data=b"csr", auth=("pi-1", "token"))
    assert [each.get("Authorization") for each in asked] == [None, None, "Basic cGktMTp0b2tlbg=="]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_takes_a_token_elsewhere(status):
    with serving() as (elsewhere, asked_elsewhere), serving(status, Location=elsewhere) as (url, _):
        with pytest.raises(UnexpectedReply, match="points to another address"):
            HttpsSession().send("POST", url, data=b"csr", auth=("pi-1", "token"))
        with pytest.raises(UnexpectedReply, match="points to another address"):
            EnrollmentApi(url).configuration()
    assert asked_elsewhere == []


@contextmanager
def sending(*parts, pause=0.0):
    """A server that sends these bytes, part by part, to one connection. Yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(65_536)
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread.join()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([OK, b"Content-Length: 1048577\r\n\r\n", b"x" * 1_048_577], "is longer than 1 MiB"),
        ([OK, b"\r\n", *[b"x" * 65_536] * 40], "is longer than 1 MiB"),
        (
            [OK, b"Transfer-Encoding: chunked\r\n\r\n", *[b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 40],
            "longer than 1 MiB",
        ),
        ([OK, b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"{}")], "is compressed, although nobody asked"),
        ([OK, b"Transfer-Encoding: chunked\r\n\r\nno number\r\n"], "No answer from"),
        ([OK, b"Content-Length: 9\r\n\r\n", b"x"], "No answer from"),
        ([OK, b"x" * 70_000], "No answer from"),
        ([b"SSH-2.0-OpenSSH_9.2p1\r\n"], "No answer from"),
        ([], "No answer from"),
    ],
    ids=range(9),
)
def test_a_hostile_reply_is_a_sentence_and_bounded(parts, words):
    with sending(*parts) as url, pytest.raises(FleetError) as told:
        HttpsSession().send("GET", url)
    assert words in told.value.cause
    assert "Errno" not in told.value.cause
    assert "<" not in told.value.cause


@pytest.mark.parametrize("parts", [[OK[:1]] * 40, [OK, b"\r\n", *[b"x"] * 40]], ids=["head", "body"])
def test_a_reply_that_drips_ends_after_the_whole_time(parts):
    began = time.monotonic()
    with sending(*parts, pause=0.02) as url, pytest.raises(Unreachable, match="has not sent its whole reply"):
        HttpsSession().send("GET", url, timeout=0.1)
    assert time.monotonic() - began < 2


def test_a_connection_that_is_refused_is_told_in_words():
    with pytest.raises(Unreachable, match=r": Connection refused\.$"):
        HttpsSession().send("GET", "http://127.0.0.1:9")


TOPICS = {"publish": ["a"], "subscribe": []}


@pytest.mark.parametrize(
    "change",
    [
        {"topics": []},
        {"topics": {}},
        {"topics": {"publish": ["a"]}},
        {"topics": {**TOPICS, "publish": [1]}},
        {"dataEndpoint": 1},
        {"topics": None},
    ],
)
def test_a_configuration_of_another_shape_is_told_as_one(change):
    with serving(body=json.dumps(CONFIGURATION | {"topics": TOPICS}).encode()) as (url, _):
        assert EnrollmentApi(url).configuration()["topics"] == TOPICS
    body = json.dumps(CONFIGURATION | {"topics": TOPICS} | change).encode()
    with serving(body=body) as (url, _), pytest.raises(UnexpectedReply, match="which this command does not know"):
        EnrollmentApi(url).configuration()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'"x"', b"\xff", b"{}", b'{"dataEndpoint": "x"}', b"[" * 5000, b"NaN"]
)
def test_a_reply_of_something_else_than_the_deployment_is_told_as_one(body):
    with serving(body=body) as (url, _):
        for call in (EnrollmentApi(url).configuration, lambda: EnrollmentApi(url).upload(issue(new_key()))):
            with pytest.raises(UnexpectedReply, match="which this command does not know"):
                call()
        with pytest.raises(UnexpectedReply):
            EnrollmentApi(url).ca_certificates()


@pytest.mark.parametrize(
    ("variable", "value", "error", "words"),
    [
        ("CA_BUNDLE", "/no/such.pem", SdkFailed, "'/no/such.pem' cannot be used: No such file"),
        ("CA_BUNDLE", "/etc/hostname", SdkFailed, "holds no CA certificate"),
        ("CA_BUNDLE", "/dev/zero", SdkFailed, "holds no CA certificate"),
        ("REQUESTS_CA_BUNDLE", "/no/such.pem", SdkFailed, "no/such.pem"),
        ("HTTPS_PROXY", f"http://u:{SECRET}#w@h:1", FleetError, "proxy"),
        ("HTTPS_PROXY", "http://[bad", FleetError, "proxy"),
        ("HTTPS_PROXY", f"http://u:{SECRET}@127.0.0.1:9", Unreachable, "proxy"),
    ],
)
def test_what_is_wrong_on_this_machine_is_told_without_its_secrets(monkeypatch, variable, value, error, words):
    monkeypatch.setenv(variable, value)
    with pytest.raises(error) as told:
        HttpsSession().send("GET", "https://enroll.example.com/v1")
    assert words in told.value.in_one_line
    assert SECRET not in told.value.in_one_line


@pytest.mark.parametrize("token", [f"{SECRET}\n{SECRET}", f"{SECRET}\r"])
def test_a_header_that_cannot_be_sent_is_not_quoted(token):
    with serving() as (url, asked), pytest.raises(SdkFailed) as told:
        HttpsSession().send("GET", url, headers={"X-Token": token})
    assert asked == []
    assert SECRET not in told.value.in_one_line


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1", "8443 ", "٣"])
def test_a_port_that_is_none_is_told(monkeypatch, port):
    monkeypatch.setenv("IOT_HTTPS_PORT", port)
    with pytest.raises(FleetError, match="is no number from 1 to 65535"):
        Endpoint.of(CONFIGURATION)


@pytest.mark.parametrize(
    "url",
    [
        *("enroll.example.com", "https://", "ftp://x", "http://enroll.example.com", "https://x:99999", "https://[::1"),
        *("https://exa mple", f"https://user:{SECRET}@x", "https://x?token=1", "https://x#y", "https://x\n", "-x", "ä"),
    ],
)
def test_a_url_that_is_none_is_a_usage_error(run, monkeypatch, url):
    for words, variable in ((["list", f"--url={url}"], None), (["list"], url)):
        if variable is not None:
            monkeypatch.setenv("ENROLLMENT_URL", variable)
        answer = run(*words)
        assert answer.code == 2
        assert "the URL (--url, $ENROLLMENT_URL) has to" in answer.err
        assert SECRET not in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--fleet", "a b"],
        ["list", "--fleet", ""],
        ["invite", "pi-1", "--expires", "٣h"],
        ["sign", "--ca-cert", "x", "--ca-key", "x", "--days", "1٣"],
        ["ca", "create", "x", "--years", "1٣"],
        ["ca", "create", "x", "--years", "100"],
        ["ca", "create", "x", "--common-name", "x" * 65],
        ["ca", "create", "x", "--common-name", ""],
        ["ca", "create", "x", "--common-name", "x\x1b"],
        ["ca", "create", "x", "--common-name", "x\udc80"],
        ["ca", "create", "x", "--organization", "x" * 65],
        ["sign", "--ca-cert", "x", "--ca-key", "x", "--subject", "C=Germany"],
        ["sign", "--ca-cert", "x", "--ca-key", "x", "--subject", "O=" + "x" * 65],
        ["sign", "--ca-cert", "x", "--ca-key", "x", "--subject", "CN=x"],
    ],
    ids=" ".join,
)
def test_what_no_certificate_or_stack_takes_is_a_usage_error(run, words):
    assert run(*words).code == 2
