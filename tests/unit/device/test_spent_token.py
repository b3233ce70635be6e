"""The token: handed over without a trace in a history, and removed from its file once it is spent, not before."""

import errno
import getpass
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import one_time_token
from device.one_time_token import TokenPlace, remove_spent
from tests.support.device.est_server import EstServer
from tests.support.device.fragile_pi import preloaded
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi
from tests.support.fork_server import ForkServer

__all__ = ["preloaded", "zymkey_iot"]

CARD = """\
# my card
url = "https://a.example"
token = "Wm9k"  # of Tuesday
name = 'pi-7'
"""


TOKEN = "Wm9k"


def removed(path: Path, text: str | bytes, *, token: str = TOKEN, settings_file: bool = True) -> list[str]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    warnings: list[str] = []
    remove_spent(TokenPlace(path, settings_file), token, warnings.append)
    return warnings


@pytest.mark.parametrize(
    ("line", "then"),
    [
        ('token = "Wm9k"  # of Tuesday', 'token = ""  # of Tuesday'),
        ("token='Wm9k'", 'token=""'),
        ('  "token" = "Wm9k"', '  "token" = ""'),
        ('token = "Wm9k"\r', 'token = ""\r'),
    ],
)
def test_the_line_is_emptied_and_all_else_stays(tmp_path: Path, line: str, then: str) -> None:
    path = tmp_path / "zymkey-iot.toml"
    text = f"# Wm9k stays in a comment\nname = 'pi-7'\n{line}\nkey = \"zymkey:\"\n"

    assert removed(path, text) == []

    assert path.read_bytes().decode() == text.replace(line, then)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_file_in_utf_16_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "zymkey-iot.toml"
    removed(path, CARD.encode("utf-16"))
    assert path.read_bytes().decode("utf-16") == CARD.replace("Wm9k", "")


def test_another_token_than_the_spent_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "zymkey-iot.toml"
    removed(path, CARD, token="another")
    assert path.read_text() == CARD


def test_a_token_file_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "token"
    removed(path, "Wm9k\n", settings_file=False)
    assert path.read_bytes() == b""


def test_mode_and_owner_stay(tmp_path: Path) -> None:
    path = tmp_path / "zymkey-iot.toml"
    path.write_text("")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12, 34)
    before = path.stat()
    removed(path, CARD)
    after = path.stat()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o640)


def test_a_card_that_cannot_be_written_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(one_time_token, "_replace", read_only)
    (warning,) = removed(tmp_path / "zymkey-iot.toml", CARD)
    assert "Read-only file system" in warning
    assert "Wm9k" not in warning


@pytest.fixture
def card(pi: Pi, est: EstServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A settings file with the token, for commands in this process."""
    path = tmp_path / "zymkey-iot.toml"
    path.write_text('# mine\ntoken = "Wm9k"\nname = "pi-7"\n')
    monkeypatch.setitem(__import__("device.settings").settings.load.__kwdefaults__, "files", [path])
    yield path


def test_the_token_goes_when_the_certificate_is_kept(pi: Pi, zymkey_iot: Command, card: Path) -> None:
    done = zymkey_iot("bootstrap")
    assert (done.returncode, card.read_text()) == (0, '# mine\ntoken = ""\nname = "pi-7"\n'), done.stderr
    assert zymkey_iot("bootstrap").returncode == 0


def test_the_token_stays_as_long_as_the_certificate_is_not_kept(
    pi: Pi, zymkey_iot: Command, card: Path, est: EstServer
) -> None:
    before = card.read_text()
    assert zymkey_iot("bootstrap", "--endpoint", "no-such-host.invalid", "--give-up-after", "0").returncode == 4
    assert card.read_text() == before


def test_a_run_that_was_cut_off_in_between_is_finished_by_the_next_and_by_the_timer(
    pi: Pi, zymkey_iot: Command, card: Path
) -> None:
    text = card.read_text()
    for command in ("bootstrap", "hooks"):
        zymkey_iot("bootstrap")
        card.write_text(text)
        assert zymkey_iot(command).returncode == 0
        assert "Wm9k" not in card.read_text()


@pytest.mark.parametrize("way", ["option", "file"])
def test_whoever_wants_to_keeps_it(pi: Pi, zymkey_iot: Command, card: Path, way: str) -> None:
    if way == "file":
        card.write_text(card.read_text() + "keep-token = true\n")
    before = card.read_text()
    assert zymkey_iot("bootstrap", *(["--keep-token"] if way == "option" else [])).returncode == 0
    assert card.read_text() == before


def test_a_token_file_that_an_option_names_is_the_persons_own(pi: Pi, zymkey_iot: Command, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("Wm9k\n")
    assert zymkey_iot("bootstrap", "--token-file", str(path)).returncode == 0
    assert path.read_text() == "Wm9k\n"


PROGRAM = """
import sys; from pathlib import Path; import device.settings
device.settings.load.__kwdefaults__["files"] = [Path(sys.argv[1])]
from device.cli import main; raise SystemExit(main(sys.argv[2:]))
"""


def test_a_power_cut_or_a_failing_disk_anywhere_leaves_the_card_as_it_was_or_as_it_shall_be(
    pi: Pi, preloaded: ForkServer, tmp_path: Path
) -> None:
    boot, calls = tmp_path / "boot", tmp_path / "calls"
    boot.mkdir()
    path = boot / "zymkey-iot.toml"
    before = '# mine\ntoken = "Wm9k"\nname = "pi-7"\n'
    after = before.replace("Wm9k", "")

    def run(at: int, **fault: str) -> "subprocess.CompletedProcess[str]":
        kill = {"KILL_AT": str(at), "KILL_UNDER": str(boot), "KILL_COUNT": str(calls), **fault}
        return preloaded.run(["-c", PROGRAM, path, "bootstrap"], env={**os.environ, **pi.environment, **kill})

    path.write_text(before)
    assert run(0).returncode == 0
    assert path.read_text() == after
    points = len(calls.read_text().splitlines())
    assert points >= 4
    for at in range(1, points + 1):
        path.write_text(before)
        assert run(at).returncode == -signal.SIGKILL
        assert path.read_text() in (before, after)
        assert run(0).returncode == 0
        assert [each.name for each in boot.iterdir()] == [path.name]
        assert path.read_text() == after

        path.write_text(before)
        done = run(at, KILL_ERRNO=str(errno.EROFS))
        assert done.returncode == 0, done.stderr
        assert path.read_text() == after or "could not be removed: Read-only" in done.stdout


# Handed over


@pytest.mark.parametrize("text", ["Wm9k", "Wm9k\n", "\r\n Wm9k \r\n", '"Wm9k"', "\ufeffWm9k\n"])
def test_a_token_is_read_from_standard_input(pi: Pi, est: EstServer, text: str) -> None:
    done = pi.run("bootstrap", "--token-file", "-", stdin=text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", ["", "\n", "two words", "a\nb"])
def test_no_token_on_standard_input_is_said(pi: Pi, est: EstServer, text: str) -> None:
    done = pi.run("bootstrap", "--token-file", "-", stdin=text)
    assert (done.returncode, "standard input" in done.stderr, est.asked) == (2, True, [])


def test_on_a_terminal_the_token_is_asked_for(pi: Pi, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts: list[str] = []

    class Terminal:
        @staticmethod
        def isatty() -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", lambda prompt: prompts.append(prompt) or "Wm9k")  # type: ignore[func-returns-value]
    done: subprocess.CompletedProcess[str] = zymkey_iot("bootstrap", "--token-file", "-")
    assert (done.returncode, prompts) == (0, ["Token for pi-7: "]), done.stderr


def test_no_other_command_asks_for_it(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    assert pi.run("status", ZYMKEY_IOT_TOKEN_FILE="-").returncode == 0
