"""An enrollment server that means harm: a sentence and an exit code, soon, in little memory, and nothing is harmed.

The device works already, and is sent to the hostile server with a token. Afterwards it still works, with what it had.
"""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.device.authority import DAY, Authority, certs_only, common_name, now
from tests.support.device.hostile_enrollment import enrolling, enrolls_with, pkcs7, pkcs7_of
from tests.support.device.hostile_replies import (
    BEFORE_HTTP,
    REPLIES,
    RETRY_AFTER,
    RETRY_AFTER_DATES,
    redirects,
    replying,
    response,
    sampled,
)
from tests.support.device.hostile_server import HostileServer, Visit
from tests.support.device.victim import TOKEN, Victim, attack


@pytest.mark.parametrize("what", sampled(BEFORE_HTTP, every=3))
def test_what_is_no_answer(victim: Victim, hostile: HostileServer, what: str) -> None:
    hostile.script = BEFORE_HTTP[what]
    attack(victim, hostile, 4)


@pytest.mark.parametrize("what", sampled(REPLIES, every=4))
def test_what_is_no_use(victim: Victim, hostile: HostileServer, what: str) -> None:
    hostile.script = REPLIES[what]
    attack(victim, hostile, 4, 6, 8)


@pytest.mark.parametrize(
    ("what", "code"), [("another name", 5), ("expired", 5), ("not valid yet", 5), ("another CA", 5), ("no name", 5)]
)
def test_a_wrong_certificate(victim: Victim, authority: Authority, tmp_path: Path, what: str, code: int) -> None:
    (tmp_path / "pem").mkdir()
    make: dict[str, Callable[[], Path]] = {
        "another name": lambda: authority.write_server(tmp_path / "pem", "evil.example"),
        "expired": lambda: authority.write_server(
            tmp_path / "pem", "localhost", since=now() - 2 * DAY, until=now() - DAY
        ),
        "not valid yet": lambda: authority.write_server(tmp_path / "pem", "localhost", since=now() + DAY),
        "another CA": lambda: Authority().write_server(tmp_path / "pem", "localhost"),
        "no name": lambda: authority.write_server(tmp_path / "pem", "127.0.0.1"),
    }
    asked = []

    def script(visit: Visit) -> None:
        visit.secure()
        asked.append(visit.request())

    with HostileServer(make[what](), script) as hostile:
        attack(victim, hostile, code)
    assert not any(asked), "the token went to a server that is not who it says"


@pytest.mark.parametrize("what", sampled(redirects("https://elsewhere"), every=4))
def test_the_token_follows_no_redirect(victim: Victim, hostile: HostileServer, pki: Path, what: str) -> None:
    with HostileServer(pki / "localhost.pem") as elsewhere:
        hostile.script = redirects(elsewhere.url)[what]
        hostile.visits = 0
        attack(victim, hostile, 4, 6, 8)
        assert elsewhere.visits == 0
    assert hostile.visits == 1


@pytest.mark.parametrize("value", sampled([*RETRY_AFTER, *RETRY_AFTER_DATES], every=4))
@pytest.mark.parametrize(("status", "code"), [("202 Accepted", 7), ("503 Busy", 8)])
def test_no_retry_after_makes_it_wait_or_ask_without_end(
    victim: Victim, hostile: HostileServer, value: str, status: str, code: int
) -> None:
    hostile.script = replying(response(b"wait", f"Retry-After: {value}", status=status))
    hostile.visits = 0
    attack(victim, hostile, code, ZYMKEY_IOT_GIVE_UP_AFTER="0.3s")
    assert hostile.visits <= 5


def test_a_sentence_that_repeats_the_token_is_told_without_it(victim: Victim, hostile: HostileServer) -> None:
    hostile.script = replying(response(f"I know {TOKEN}.".encode(), status="401 No"))
    assert "(401): I know …" in attack(victim, hostile, 6).err


def unwanted(victim: Victim, authority: Authority) -> dict[str, bytes]:
    own = enrolling(victim, authority)
    stranger = authority.issue(ec.generate_private_key(ec.SECP256R1()).public_key(), common_name("pi-7"))
    der = own.public_bytes(serialization.Encoding.DER)
    spoilt = [der[:at] + bytes([der[at] ^ 0x55]) + der[at + 1 :] for at in range(8, len(der), 61)]
    wrapped = certs_only(own)
    return {
        "of another key": pkcs7(stranger),
        "several": pkcs7(own, stranger),
        "many": pkcs7(*[own] * 400),
        "none": response(base64.b64encode(wrapped.replace(der, b""))),
        "not base64": response(b"%%%"),
        "not PKCS#7": response(base64.b64encode(b"0\x82garbage")),
        "PEM": response(own.public_bytes(serialization.Encoding.PEM)),
        "on a curve that is unknown": pkcs7_of(
            wrapped, b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2a\x86\x48\xce\x3d\x03\x01\x7f"
        ),
        "with a key of an unknown kind": pkcs7_of(
            wrapped, b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2a\x86\x48\xce\x3d\x02\x7f"
        ),
        "cut off": response(base64.b64encode(wrapped[:-40])),
        **{f"spoilt {number}": pkcs7_of(wrapped, der, each) for number, each in enumerate(spoilt)},
    }


CERTIFICATES = (
    *("of another key", "several", "many", "none", "not base64", "not PKCS#7", "PEM", "on a curve that is unknown"),
    *("with a key of an unknown kind", "cut off", "spoilt"),
)


@pytest.mark.parametrize("what", sampled(CERTIFICATES, every=4))
def test_a_certificate_that_is_not_what_was_asked_for(
    victim: Victim, authority: Authority, hostile: HostileServer, what: str
) -> None:
    replies = {name: reply for name, reply in unwanted(victim, authority).items() if name.startswith(what)}
    assert replies
    for reply in replies.values():
        hostile.script = enrolls_with(reply, configuration=b"no")
        attack(victim, hostile, 4, 8, 9, 12, requests=2)
