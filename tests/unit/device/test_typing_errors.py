"""Whatever is typed: a sentence, and an exit code that says whose fault it is, in bounded time; never our defect."""

import argparse
import json
import time
from importlib import import_module
from pathlib import Path

import pytest

from device.cli import COMMANDS
from tests.support.device.pi import Pi

LONG = "a" * 300
NASTY = [
    *("", " ", "-", "-1", "--", "nan", "inf", "1e999", "9" * 5000, "true", "0", "65536", "\uff14\uff14\uff13", "1_0"),
    *("/dev/zero", "/dev/full", "/proc/self/mem"),
    *("..", "/", "//", "~", "~nobody-here/x", "a b", "a\nb", "a\x1b[2Jb", "\udce9", "ü", "“x”", "\u202ex", "😀", LONG),
    *("https://", "https://a b", "https://a..b", f"https://{'a' * 64}.de", "https://a:0", "https://a:65536"),
    *("https://a:port", "https://ü.de", "https://[::1", "https://[::1]]", "https://[zz]", "https://[::1%25eth0]"),
    *("https://a/../b", "https://a/\x00b".replace("\x00", "\x01"), "https://a?b", "https://a#b", "https://u:p@a"),
    *("arn:aws:iot:eu-central-1:1:thing/x", "a.example:8883", "a.example/path", "mqtts://a", "[::1]", "::1"),
    *("zymkey:slot=99999", "zymkey:slot=-1", "pkcs11:", "pkcs11:token", "pkcs11:id=%zz", "pkcs11:slot-id=²"),
    *("engine:", "engine:no-such-engine", "engine:../x", "file:/dev/null", "file:/dev/zero", "file:/", "tpm:1"),
    *("{", "%s%n", "{device", "$(id)", "`id`", "'\""),
]
# What stands in the place of the other arguments.
FILLED = {"topic": "devices/{device}/t", "message": "x", "client": "paho", "action": "status"}


def arguments_of(command: str) -> list[argparse.Action]:
    """Every option and every argument that takes a value, as the command itself declares them."""
    parser = argparse.ArgumentParser()
    import_module(f"device.commands.{command}").configure(parser)
    return [action for action in parser._actions if action.nargs in (None, "?")]


ARGUMENTS = [(command, action) for command in COMMANDS for action in arguments_of(command)]


# Nothing is listened to there, so that what is allowed ends at once; and no test waits for a name server.
OFFLINE = {"ENROLLMENT_URL": "https://127.0.0.1:9", "ZYMKEY_IOT_GIVE_UP_AFTER": "0"}


def blamed(pi: Pi, *words: str, **variables: str) -> None:
    """Run the command; what it says is a sentence with somebody to blame, other than us."""
    began = time.monotonic()
    done = pi.run(*words, **variables)
    said = done.stdout + done.stderr
    assert done.returncode not in (1, -6, -11, 120), said
    assert "Traceback" not in said
    assert "defect" not in said
    assert done.returncode in (0, 13, 16) or done.stderr.strip() or words[0] in ("doctor", "status", "service"), said
    assert "\x1b" not in said
    assert time.monotonic() - began < 30


@pytest.fixture
def offline(pi: Pi, tmp_path: Path) -> Pi:
    pi.environment |= OFFLINE
    pi.folder = tmp_path / "here"
    pi.folder.mkdir()
    return pi


def words_with(command: str, tried: argparse.Action, value: str) -> list[str]:
    words = []
    for action in arguments_of(command):
        if action.dest == tried.dest:
            words.append(f"{action.option_strings[-1]}={value}" if action.option_strings else value)
        elif not action.option_strings and action.dest in FILLED:
            words.append(FILLED[action.dest])
    return words


def blamed_for(pi: Pi, command: str, tried: argparse.Action, value: str) -> None:
    if tried.dest == "give_up_after" and value.isdigit():
        return  # it would wait so long
    if tried.dest == "state" and value.strip() and not value.startswith(("/dev/", "/proc/", "~")):
        value = f"{pi.state}/{value}"  # it would be made there
    blamed(pi, command, *words_with(command, tried, value))


def test_every_argument_is_tried() -> None:
    tried = {(command, action.dest) for command, action in ARGUMENTS}
    assert {command for command, _ in tried} == COMMANDS.keys()
    assert {("bootstrap", "url"), ("publish", "topic"), ("doctor", "no_proxy"), ("service", "group")} <= tried


def test_no_value_of_an_argument_is_our_defect(offline: Pi) -> None:
    """A sample: each argument with one value, and in the end nearly each value."""
    for number, (command, action) in enumerate(ARGUMENTS):
        blamed_for(offline, command, action, NASTY[number % len(NASTY)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "action"), ARGUMENTS, ids=[f"{command} {action.dest}" for command, action in ARGUMENTS]
)
def test_no_value_of_any_argument_is_our_defect(offline: Pi, command: str, action: argparse.Action) -> None:
    for value in NASTY:
        blamed_for(offline, command, action, value)


def whole(**changed: object) -> bytes:
    """A configuration in which something was changed."""
    document = {"fleet": "f", "issuer": "kms", "dataEndpoint": "a", "httpsPort": 1, "mqttPort": 1}
    return json.dumps({**document, "topics": {"publish": [], "subscribe": []}, **changed}).encode()


CUT_OFF = [
    *(b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'"topics"', b'{"topics": []}'),
    whole(dataEndpoint="a b"),
    whole(httpsPort=float("inf")),
    whole(topics={"publish": "x", "subscribe": []}),
]


@pytest.mark.parametrize("client", ["paho", "curl", "mosquitto", "requests", "aws-sdk", "greengrass"])
def test_a_configuration_that_was_cut_off_is_named(enrolled: Pi, client: str) -> None:
    for document in CUT_OFF:
        (enrolled.state / "configuration.json").write_bytes(document)

        done = enrolled.run("config", client)

        assert (done.returncode, "configuration.json" in done.stderr) == (12, True), (document[:50], done.stderr)


@pytest.mark.parametrize(
    ("topic", "because"),
    [
        *(("", "empty"), ("a/+/b", "subscriptions"), ("a/#", "subscriptions"), ("$SYS/x", "begin with $")),
        *(("a" * 257, "256"), ("ü" * 129, "256"), ("a/b/c/d/e/f/g/h/i", "7"), ("a\nb", "control"), ("\udce9", "UTF-8")),
    ],
)
def test_a_topic_that_aws_iot_never_takes_costs_no_signature(enrolled: Pi, topic: str, because: str) -> None:
    done = enrolled.run("publish", topic, "x")
    assert (done.returncode, because in done.stderr) == (2, True), done.stderr


def test_a_message_that_is_too_large_costs_no_signature(enrolled: Pi) -> None:
    done = enrolled.run("publish", "devices/{device}/t", "-", stdin="x" * (128 * 1024 + 1))
    assert (done.returncode, "128 KB" in done.stderr) == (2, True), done.stderr


def test_a_message_is_sent_byte_by_byte_whatever_its_encoding(enrolled: Pi, endpoint: "object") -> None:
    done = enrolled.run("publish", "devices/{device}/t", "caf\udce9")
    assert done.returncode == 0, done.stderr
    assert endpoint.published[-1].payload == b"caf\xe9"  # type: ignore[attr-defined]


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_a_topic_is_utf_8_whatever_the_locale(enrolled: Pi, endpoint: "object", locale: str) -> None:
    done = enrolled.python(
        *("-m", "device", "publish", "devices/{device}/grüße", "x"),
        LC_ALL=locale,
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )
    assert done.returncode == 0, done.stderr
    assert endpoint.published[-1].topic == "devices/pi-7/grüße"  # type: ignore[attr-defined]


@pytest.mark.parametrize("timeout", ["-1", "0", "nan", "inf", "1e9", "soon", ""])
def test_doctor_waits_for_a_time_that_there_is(pi: Pi, timeout: str) -> None:
    done = pi.run("doctor", "--timeout", timeout)
    assert (done.returncode, "--timeout" in done.stderr) == (2, True)


@pytest.mark.parametrize("option", ["--token", "--name"])
def test_a_word_that_begins_with_a_hyphen_is_a_value(pi: Pi, est: "object", option: str) -> None:
    done = pi.run("bootstrap", option, "-abc")
    assert "expected one argument" not in done.stderr
    assert (done.returncode, "CN=-abc" in done.stdout) == (0, option == "--name"), done.stderr


def test_an_option_that_lacks_its_value_is_still_said(pi: Pi) -> None:
    done = pi.run("bootstrap", "--token", "--mqtt")
    assert (done.returncode, "expected one argument" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "data", [b"[]", b"{", b'{"url": "https://a..b"}', b'{"key": "file:\\u0000", "url": 5}', b"[" * 99999]
)
def test_a_spoiled_device_json_is_named(enrolled: Pi, data: bytes) -> None:
    enrolled.environment |= OFFLINE
    del enrolled.environment["ENROLLMENT_URL"], enrolled.environment["ZYMKEY_IOT_KEY"]
    for command in ("status", "renew", "publish t x", "doctor --only settings", "config paho", "bootstrap"):
        (enrolled.state / "device.json").write_bytes(data)
        blamed(enrolled, *command.split())


@pytest.mark.parametrize(
    "words", [("status", "--key", "file:a\nb"), ("status", "--tokne"), ("publish", "a"), ("doctor", "--timeout", "x")]
)
def test_errors_have_an_object_for_programs(pi: Pi, words: tuple[str, ...]) -> None:
    done = pi.run(*words, "--json")
    document = json.loads(done.stdout)
    assert (document["ok"], document["exitCode"], document["error"]) == (False, done.returncode, "usage-error")
    assert document["cause"]


@pytest.mark.parametrize("url", ["https://user:secret@a.example", "ftp://secret@a.example/b", "https://u:secret@a@b c"])
def test_a_password_in_a_url_is_not_repeated(pi: Pi, url: str) -> None:
    for words in (("bootstrap", url), ("bootstrap", "--endpoint", url)):
        done = pi.run(*words)
        assert done.returncode == 2
        assert "secret" not in done.stdout + done.stderr


def test_a_token_that_is_empty_is_said(pi: Pi) -> None:
    assert "is empty" in pi.run("bootstrap", "--token", " ").stderr


@pytest.fixture
def enrolled(pi: Pi) -> Pi:
    assert pi.run("bootstrap").returncode == 0
    return pi


def test_tokens_have_a_bound(tmp_path: Path, pi: Pi) -> None:
    done = pi.run("bootstrap", "--token", "x" * 5000)
    assert (done.returncode, "not one word" in done.stderr) == (2, True)
