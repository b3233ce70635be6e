"""`pkcs11:` on SoftHSM: where the PIN may come from, and what is wrong with a URI or a token."""

import pytest

from device.errors import KeyUnavailable, UsageError
from device.keys.pin import find_pin
from device.keys.pkcs11_uri import parse
from tests.support.device.pi import Pi
from tests.support.device.softhsm import PIN, SoftHsm


@pytest.fixture
def token_pi(pi: Pi, softhsm: SoftHsm) -> Pi:
    pi.environment |= softhsm.environment() | {"ZYMKEY_IOT_KEY": softhsm.uri_without_pin}
    return pi


def test_the_public_key_needs_no_pin(token_pi: Pi) -> None:
    assert token_pi.run("key").returncode == 0


def test_a_signature_asks_for_a_pin_and_says_where_it_may_come_from(token_pi: Pi) -> None:
    result = token_pi.run("bootstrap")

    assert result.returncode == 3
    assert "asks for a PIN" in result.stderr
    assert "pin-source" in result.stderr


@pytest.mark.parametrize("prefix", ["", "engine:"])
def test_the_pin_may_come_from_the_environment_and_is_shown_nowhere(token_pi: Pi, prefix: str) -> None:
    token_pi.environment["ZYMKEY_IOT_KEY"] = prefix + token_pi.environment["ZYMKEY_IOT_KEY"]

    result = token_pi.run("bootstrap", ZYMKEY_IOT_PIN=PIN)

    assert result.returncode == 0, result.stderr
    assert f"={PIN}" not in (token_pi.state / "device.json").read_text()


@pytest.mark.parametrize("prefix", ["", "engine:"])
def test_a_wrong_pin_is_said(token_pi: Pi, prefix: str) -> None:
    token_pi.environment["ZYMKEY_IOT_KEY"] = prefix + token_pi.environment["ZYMKEY_IOT_KEY"]

    result = token_pi.run("bootstrap", ZYMKEY_IOT_PIN="999999")

    assert result.returncode == 3
    assert "PIN" in result.stderr
    assert "999999" not in result.stderr + result.stdout


@pytest.mark.parametrize("prefix", ["", "engine:"])
def test_a_pin_that_is_not_utf_8_is_told_and_not_tried(token_pi: Pi, prefix: str) -> None:
    token_pi.environment["ZYMKEY_IOT_KEY"] = prefix + token_pi.environment["ZYMKEY_IOT_KEY"]

    result = token_pi.run("bootstrap", ZYMKEY_IOT_PIN="12\udce934")

    assert (result.returncode, "ZYMKEY_IOT_PIN is not text in UTF-8" in result.stderr) == (3, True), result.stderr


@pytest.mark.parametrize("left_by", [EOFError(), UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "")])
def test_a_prompt_for_the_pin_that_is_left_is_no_defect(monkeypatch: pytest.MonkeyPatch, left_by: Exception) -> None:
    def leave(_: str) -> str:
        raise left_by

    monkeypatch.setattr("getpass.getpass", leave)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.delenv("ZYMKEY_IOT_PIN", raising=False)
    with pytest.raises(KeyUnavailable, match="was not typed"):
        find_pin(None, "t")


def test_a_pin_at_a_terminal_is_asked_for_and_not_echoed(token_pi: Pi) -> None:
    import os
    import pty
    import subprocess
    import sys

    from tests.support.device.pi import REPOSITORY

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "device", "bootstrap"],
        cwd=REPOSITORY,
        env={**os.environ, **token_pi.environment},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    seen = b""
    while b"PIN of the token fleet: " not in seen:
        seen += os.read(master, 4096)
    os.write(master, PIN.encode() + b"\n")
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(master)

    assert process.wait(60) == 0, seen.decode()
    assert PIN.encode() + b"\r\n" not in seen


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("pkcs11:token=nobody", "no token fits"),
        ("pkcs11:token=fleet;object=nothing", "has no elliptic curve key that fits"),
        ("pkcs11:token=fleet", "2 keys fit"),
        ("pkcs11:token=fleet;object=other-curve", "not on the curve P-256"),
        ("pkcs11:token=fleet?module-path=/nowhere.so", "module /nowhere.so cannot be loaded"),
    ],
)
def test_a_key_that_cannot_be_found_says_what_there_is(token_pi: Pi, softhsm: SoftHsm, uri: str, sentence: str) -> None:
    softhsm.add_key("other-curve", "02", curve="secp384r1")

    result = token_pi.run("key", "--key", uri)

    assert result.returncode == 3
    assert sentence in result.stderr
    assert "Try:" in result.stderr


def test_a_pin_in_the_uri_is_refused() -> None:
    with pytest.raises(UsageError, match="process list") as refused:
        parse("token=fleet?pin-value=1234")
    assert "1234" not in refused.value.cause + refused.value.cure


@pytest.mark.parametrize("rest", ["token", "colour=red", "token=a?module-name=x", "slot-id=x", "type=public"])
def test_a_uri_that_is_not_understood_names_the_part(rest: str) -> None:
    with pytest.raises(UsageError, match="the PKCS#11 URI is wrong"):
        parse(rest)


def test_a_uri_survives_being_written_out() -> None:
    uri = "pkcs11:token=my%20fleet;object=a%3Bb;id=%01%ff;slot-id=3?module-path=/x.so&pin-source=file:/p%20q"

    parsed = parse(uri.removeprefix("pkcs11:"))

    assert (parsed.token, parsed.object, parsed.id) == ("my fleet", "a;b", b"\x01\xff")
    assert parse(str(parsed).removeprefix("pkcs11:")) == parsed


# A program that has signed once, with the sessions of its process in its hands.
LONG_LIVED = """
import sys
import pkcs11
from argparse import Namespace
from device.errors import DeviceError
from device.keys import open_key, pkcs11 as ours, pkcs11_errors
from device.settings import load

pauses = []
pkcs11_errors.time = type("time", (), {"sleep": staticmethod(pauses.append)})
key = open_key(load(Namespace()))

def sign(key=key):
    key.public_key().verify(key.sign_hashed(bytes(31) + b"1"), bytes(31) + b"1", ECDSA)

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives import hashes
ECDSA = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
sign()
"""


def long_lived(pi: Pi, script: str) -> str:
    done = pi.forked("-c", LONG_LIVED + script)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_a_session_that_is_lost_is_opened_again(token_pi: Pi) -> None:
    token_pi.environment["ZYMKEY_IOT_PIN"] = PIN
    long_lived(token_pi, "key._private_object.session.close(); sign(); assert pauses == [0.1], pauses")


def test_a_program_may_open_its_key_again_while_it_is_logged_in(token_pi: Pi) -> None:
    """As it does after a renewal: the login is the whole process's."""
    token_pi.environment["ZYMKEY_IOT_PIN"] = PIN
    long_lived(token_pi, "sign(open_key(load(Namespace()))); sign()")


@pytest.mark.parametrize("error", ["DeviceError", "DeviceRemoved", "SessionHandleInvalid", "GeneralError"])
def test_a_token_that_fails_twice_signs_at_the_third_try_and_one_that_goes_on_failing_is_told(
    token_pi: Pi, error: str
) -> None:
    token_pi.environment["ZYMKEY_IOT_PIN"] = PIN
    said = long_lived(
        token_pi,
        f"""
real, failures = ours.Pkcs11Key._sign_once, []
def failing(self, digest):
    if len(failures) < wanted:
        failures.append(1)
        raise pkcs11.{error}
    return real(self, digest)
ours.Pkcs11Key._sign_once = failing
wanted = 2
sign()
wanted = 9
try:
    sign()
except DeviceError as told:
    print(told.cause)
assert len(failures) == 5
""",
    )
    assert "the token fleet" in said


def test_a_wrong_pin_is_tried_once(token_pi: Pi) -> None:
    """Each wrong try counts, and a few lock the token."""
    token_pi.environment["ZYMKEY_IOT_PIN"] = PIN
    said = long_lived(
        token_pi,
        """
import os
key._private_object.session.close()
os.environ["ZYMKEY_IOT_PIN"] = "999999"
opened = []
real = ours.find_pin
ours.find_pin = lambda *words: opened.append(1) or real(*words)
try:
    sign()
except DeviceError as told:
    print(told.cause, len(opened))
""",
    )
    assert "the PIN of the token fleet is wrong. 1" in said
