"""stdout, stderr and stdin as a shell may leave them, locales without UTF-8, and words that a terminal would obey."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device import streams
from device.errors import DeviceError
from device.text import printable
from tests.support.device.pi import REPOSITORY, Pi

PYTHON = f"{sys.executable} -m device"


def shell(pi: Pi, command: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        ["sh", "-c", command.replace("zymkey-iot", PYTHON)],
        cwd=REPOSITORY,
        env={**os.environ, **pi.environment, **variables},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "2>/dev/full"])
def test_closed_streams_end_no_bootstrap(pi: Pi, closed: str) -> None:
    done = shell(pi, f"zymkey-iot bootstrap {closed}")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert (pi.state / "certificate.pem").exists()
    for path in pi.state.iterdir():
        assert b"AWS IoT" not in path.read_bytes(), "output ended up in a file"


@pytest.mark.parametrize("command", ["bootstrap", "--help", "--version", "explain", "key", "bootstrap --help"])
def test_a_full_disk_loses_the_output_and_says_so(pi: Pi, command: str) -> None:
    if command in ("explain", "key"):
        assert pi.run("bootstrap").returncode == 0
    done = shell(pi, f"zymkey-iot {command} > /dev/full")
    assert (done.returncode, b"No space left" in done.stderr) == (11, True), done.stderr
    assert b"Traceback" not in done.stderr
    assert (pi.state / "certificate.pem").exists() == (command in ("bootstrap", "explain", "key"))


def test_a_message_from_a_closed_stdin_is_no_message(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    done = shell(pi, "zymkey-iot publish t - <&-")
    assert done.returncode in (0, 2, 10), done.stderr
    assert b"defect" not in done.stderr


LOCALES = [
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
    {"PYTHONIOENCODING": "ascii"},
]


_RARE = pytest.mark.slow
_CASES = [
    pytest.param(locale, id=name, marks=_RARE if name in ("POSIX", "ASCII") else ())
    for locale, name in zip(LOCALES, ("C", "POSIX", "Latin-1", "ASCII"), strict=True)
]


@pytest.mark.parametrize("locale", _CASES)
def test_under_any_locale_a_device_bootstraps_and_every_command_speaks(pi: Pi, locale: dict[str, str]) -> None:
    assert shell(pi, "zymkey-iot bootstrap", **locale).returncode == 0
    for command in (
        "status",
        "key",
        "explain",
        "config paho",
        "--help",
        "doctor --help",
        "renew --if-due",
        "service status",
    ):
        done = shell(pi, f"zymkey-iot {command}", **locale)
        assert done.returncode in (0, 2, 13), done.stderr
        assert b"Traceback" not in done.stderr
        assert b"defect" not in done.stderr
    done = shell(pi, "zymkey-iot publish 'devices/{device}/t' 'gr\u00fcn \u2026'", **locale)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("nasty", ["\x1b[31m", "\x1b]0;x\x07", "a\rb", "\u202e", "\x9b1m", "\u2028", "\udc80"])
def test_what_others_wrote_is_escaped_in_every_error(nasty: str) -> None:
    error = DeviceError(f"it said {nasty}.", cure=f"ask {nasty}")
    assert error.cause.isprintable()
    assert error.cure.isprintable()
    assert printable("pi-7 …") == "pi-7 …"


def test_a_stream_lets_our_colours_pass_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("w", encoding="ascii") as file:
        stream = streams.SafeStream(file)
        stream.write("\x1b[32mkey\x1b[0m \x1b[2J\u202e…\n")
    assert path.read_text() == "\x1b[32mkey\x1b[0m \\x1b[2J\\u202e\\u2026\n"
