"""No error's text holds a secret that this process knows, in whichever form a library quotes it."""

import pytest

import fleet.redaction
from fleet.cli import main
from fleet.errors import Refused
from fleet.redaction import SECRET_VARIABLES, keep_out, redacted

SECRET = "PlantedSecret/0123456789+abcdef"


@pytest.fixture(autouse=True)
def _nothing_is_known_yet(monkeypatch):
    """What another test has planted would hide a secret that this test's own form of it does not."""
    monkeypatch.setattr(fleet.redaction, "_secrets", set())


@pytest.mark.parametrize("variable", SECRET_VARIABLES)
def test_a_secret_of_the_environment_is_in_no_text(monkeypatch, variable):
    monkeypatch.setenv(variable, SECRET)
    assert redacted(f"Invalid header value b'{SECRET}'") == "Invalid header value b'***'"


@pytest.mark.parametrize(
    "secret", [SECRET, f"{SECRET}\n", f"{SECRET}\nsecond-{SECRET}", f"{SECRET}\x1b\u202e", f" {SECRET} ", f"{SECRET}é"]
)
@pytest.mark.parametrize(
    "quoted",
    [
        str,
        repr,
        lambda text: repr(text.encode()),
        lambda text: repr(text.encode("latin-1", "replace")),
        lambda text: text.splitlines()[0],
    ],
)
def test_a_secret_is_found_as_libraries_quote_it(secret, quoted):
    keep_out(secret)
    assert "PlantedSecret" not in redacted(f"It said {quoted(secret)}.")


def test_a_secret_of_octets_is_kept_out_as_well():
    keep_out(b"octets-of-a-secret")
    assert redacted("octets-of-a-secret") == "***"


@pytest.mark.parametrize(
    "password", ["simple", "with@at", "with/slash", "with#hash", "with?question", "with:colon", "[bracket"]
)
def test_no_url_shows_its_user_and_password(password):
    shown = redacted(f"Cannot connect to http://somebody:{password}@proxy.example.com:3128/path, see https://x/y.")
    assert shown == "Cannot connect to http://***@proxy.example.com:3128/path, see https://x/y."


def test_a_part_of_a_proxy_that_cannot_be_read_is_not_shown(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://somebody:0123456789secret#w@h:1")
    assert (
        redacted("Failed to parse: 'somebody:0123456789secret' is not valid")
        == "Failed to parse: '***:***' is not valid"
    )


def test_what_is_no_secret_stays(monkeypatch):
    monkeypatch.setenv("ZYMKEY_FLEET_PIN", "1234")
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "")
    text = "The passphrase is wrong: 123456; see https://docs.example.com/a@b"
    assert redacted(text.partition(";")[0]) == "The passphrase is wrong: 123456"


def test_neither_an_error_nor_a_stack_trace_shows_one(monkeypatch, capsys):
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"{SECRET}\n{SECRET}")
    monkeypatch.setenv("ZYMKEY_FLEET_TRACEBACK", "1")

    def fail(_):
        raise ZeroDivisionError(f"Invalid header value b'{SECRET}\\n{SECRET}'")

    monkeypatch.setattr("fleet.commands.allow.fingerprint_of", fail)
    assert main(["allow", "pi-1", "--key", "x", "--json"]) == 70
    shown = capsys.readouterr()
    assert "Traceback" in shown.err
    assert SECRET not in shown.err + shown.out
    assert SECRET not in str(Refused(SECRET, cure=SECRET)) + Refused(SECRET, cure=SECRET).in_one_line
