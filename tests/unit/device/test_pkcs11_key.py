"""`pkcs11:` on SoftHSM: where the PIN may come from, and what is wrong with a URI or a token."""

import pytest

from device.errors import UsageError
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
