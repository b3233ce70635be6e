"""A data endpoint that means harm: publish ends with a sentence and an exit code, soon, and in little memory."""

import json
from pathlib import Path

import pytest

from tests.support.device.hostile_replies import (
    BEFORE_HTTP,
    REPLIES,
    TERMINAL,
    redirects,
    replying,
    response,
    sampled,
)
from tests.support.device.hostile_server import HostileServer
from tests.support.device.victim import DEEP, Ending, Victim, assert_printable, assert_told


def publish(victim: Victim, hostile: HostileServer, *words: str) -> Ending:
    before = victim.kept()
    ending = victim.run("publish", *words, "devices/{device}/t", "1", IOT_HTTPS_PORT=str(hostile.port))
    assert victim.kept() == before
    return ending


@pytest.mark.parametrize("what", sampled(BEFORE_HTTP, every=5))
def test_what_is_no_answer(victim: Victim, hostile: HostileServer, what: str) -> None:
    hostile.script = BEFORE_HTTP[what]
    assert_told(publish(victim, hostile), 4, 9)


@pytest.mark.parametrize("what", sampled(REPLIES, every=7))
def test_what_is_no_use(victim: Victim, hostile: HostileServer, what: str) -> None:
    hostile.script = REPLIES[what]
    ending = publish(victim, hostile)
    if ending.code == 0:  # a 200 says that the message has arrived, whatever else is in the answer
        assert_printable(ending)
    else:
        assert_told(ending, 4, 8, 9, 10)


@pytest.mark.parametrize("what", sampled(redirects("https://elsewhere"), every=7))
def test_a_message_follows_no_redirect(victim: Victim, hostile: HostileServer, pki: Path, what: str) -> None:
    with HostileServer(pki / "localhost.pem") as elsewhere:
        hostile.script = redirects(elsewhere.url)[what]
        hostile.visits = 0
        assert_told(publish(victim, hostile), 4, 8, 9, 10)
        assert elsewhere.visits == 0
    assert hostile.visits == 1


TRACES: dict[str, bytes] = {
    "for the terminal": json.dumps({"traceId": TERMINAL}).encode(),
    "of surrogates": b'{"traceId": "\\ud800"}',
    "that is an object": b'{"traceId": {"a": [1, 2]}}',
    "that is long": json.dumps({"traceId": "x" * 100_000}).encode(),
    "too deep": b'{"traceId": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "in no UTF-8": b'{"traceId": "\xff"}',
    "that is a number of many digits": b'{"traceId": ' + b"9" * 9000 + b"}",
}


@pytest.mark.parametrize("what", sampled(TRACES, every=3))
@pytest.mark.parametrize("words", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("403 Forbidden", 10), ("503 Busy", 8), ("418 No", 8)])
def test_a_trace_id(
    victim: Victim, hostile: HostileServer, what: str, words: tuple[str, ...], status: str, code: int
) -> None:
    hostile.script = replying(response(TRACES[what], status=status))
    ending = publish(victim, hostile, *words)
    assert ending.code == code, ending.err
    if code:
        assert_told(ending, code)
    assert_printable(ending)


FOR_CURL = {**BEFORE_HTTP, **REPLIES, **redirects("https://elsewhere.invalid")}


@pytest.mark.parametrize("what", sampled(FOR_CURL, every=24))
def test_curl_is_held_to_the_same(victim: Victim, hostile: HostileServer, what: str) -> None:
    hostile.script = FOR_CURL[what]
    ending = publish(victim, hostile, "--tls", "curl")
    if ending.code == 0:
        assert_printable(ending)
    else:
        assert_told(ending, 4, 8, 9, 10)
