"""What a command prints into: a full disk, a closed descriptor, another encoding. Its work is done all the same."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import programs

FLEET = programs.REPOSITORY / "bin" / "zymkey-fleet"
MAKES_A_CA = ["ca", "create", "made"]


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "AWS_"))}
    return {**kept, "ZYMKEY_FLEET_PASSPHRASE": "open sesame", **changes}


def shell(redirection, *words, folder, **changes):
    """Run the command in a shell with a redirection."""
    script = f'exec "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", script, "sh", FLEET, *words],
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("redirection", "code"),
    [(">/dev/full", 74), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), ("2>/dev/full", 0), (">/dev/full 2>&1", 74)],
)
def test_the_work_is_done_whatever_becomes_of_the_answer(tmp_path, redirection, code):
    done = shell(redirection, *MAKES_A_CA, folder=tmp_path)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert (tmp_path / "made" / "ca.crt").exists()
    if code == 74 and "2>" not in redirection:
        assert done.stderr == (
            b"zymkey-fleet: The command has done its work, but its answer could not be written: "
            b"No space left on device.\n"
            b"Try: make room where the output goes, and run the same command again\n"
        )


@pytest.mark.parametrize("words", [["--help"], ["invite", "--help"]])
def test_a_help_that_is_lost_is_told_too(tmp_path, words):
    assert shell(">/dev/full", *words, folder=tmp_path).returncode == 74
    assert shell(">/dev/null", *words, folder=tmp_path).returncode == 0
    assert shell(">/dev/full", "invite", folder=tmp_path).returncode == 2


def test_what_is_lost_does_not_take_the_place_of_a_failure(tmp_path):
    done = shell(">/dev/full", "allow", "pi-1", "--key", "no-such-file", "--json", folder=tmp_path)
    assert done.returncode == 1
    assert b"cannot be read" in done.stderr


def test_without_a_stdin_a_passphrase_is_asked_for_nowhere(tmp_path):
    done = shell("<&-", *MAKES_A_CA, folder=tmp_path, ZYMKEY_FLEET_PASSPHRASE="")
    assert (done.returncode, b"is empty" in done.stderr) == (1, True)
    without = {name: value for name, value in environment().items() if name != "ZYMKEY_FLEET_PASSPHRASE"}
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", FLEET, *MAKES_A_CA],
        cwd=tmp_path,
        env=without,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, b"there is no terminal to ask on" in done.stderr) == (1, True)


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": "en_US.ISO-8859-1"}])
def test_a_locale_that_is_not_utf_8_shows_what_it_cannot_as_escapes(tmp_path, locale):
    words = ["ca", "create", "größe-中", "--common-name", "Größe"]
    done = shell("", *words, folder=tmp_path, **locale)
    assert (done.returncode, done.stderr) == (0, b"")
    assert Path(tmp_path / "größe-中" / "ca.crt").exists()


def test_an_output_of_another_encoding_escapes_what_it_does_not_have(tmp_path):
    (tmp_path / "output").touch()
    program = "import sys; sys.stdout.reconfigure(encoding='ascii', errors='strict')"
    done = programs.run(
        "zymkey-fleet",
        ["ca", "create", tmp_path / "größe", "--common-name", "x"],
        env={**os.environ, "ZYMKEY_FLEET_PASSPHRASE": "open sesame"},
        change=program,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "gr\\xf6\\xdfe/ca.crt" in done.stdout
