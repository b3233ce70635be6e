"""The command line itself: help that is cheap, errors without traces, exit codes that are documented."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from device import errors
from device.cli import COMMANDS, about, main
from tests.support.device.pi import REPOSITORY, Pi


def test_help_lists_every_command_and_every_exit_code() -> None:
    text = about()
    for command in COMMANDS:
        assert f"\n  {command} " in text
    for code, meaning in errors.EXIT_CODES:
        assert f"{code}  {meaning}" in text


def test_every_error_has_a_documented_exit_code() -> None:
    documented = {code for code, _ in errors.EXIT_CODES}
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.DeviceError)]
    assert len(classes) > 10
    assert {c.exit_code for c in classes} <= documented


def test_help_imports_neither_cryptography_nor_anything_else_of_weight() -> None:
    script = "import sys; from device.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-S", "-c", script], cwd=REPOSITORY, capture_output=True, text=True)

    loaded = set(result.stderr.split())
    assert result.returncode == 0
    assert not loaded & {"cryptography", "requests", "ssl", "argparse", "json", "re", "logging", "dataclasses"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "examples:" in text
    assert "zymkey-iot" in text
    assert "`" not in text


@pytest.mark.parametrize("argv", [[], ["bootstrp"], ["--bogus"]])
def test_an_unknown_command_names_those_that_there_are(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "bootstrap" in capsys.readouterr().err


def test_before_the_first_bootstrap_publish_says_what_comes_first(pi: Pi) -> None:
    result = pi.run("publish", "devices/{device}/t", "1")

    assert result.returncode == 12
    assert "has no certificate" in result.stderr
    assert "zymkey-iot bootstrap" in result.stderr


def test_a_message_can_come_from_stdin(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    result = pi.run("publish", "devices/{device}/t", "-", stdin="21.5")

    assert result.returncode == 0
    assert "4 bytes" in result.stdout


def test_a_denied_topic_is_named(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    result = pi.run("publish", "others/pi-8/t", "x")

    assert result.returncode == 10
    assert "others/pi-8/t (403)" in result.stderr


def test_a_certificate_of_another_key_means_a_swapped_hsm(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    (pi.state / "key.pem").unlink()
    pi.run("key")
    fresh = subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"], capture_output=True, check=True
    )
    (pi.state / "key.pem").write_bytes(fresh.stdout)

    result = pi.run("publish", "devices/{device}/t", "x")

    assert result.returncode == 12
    assert "HSM was swapped" in result.stderr


@pytest.mark.parametrize("refusal", ["end", "reset"])
def test_a_certificate_that_aws_does_not_take_is_told_from_a_network_failure(
    pi: Pi, endpoint: "object", refusal: str
) -> None:
    assert pi.run("bootstrap").returncode == 0
    endpoint.refuse = [refusal]  # type: ignore[attr-defined]

    result = pi.run("publish", "devices/{device}/t", "x")

    assert result.returncode == 9
    assert "refused the certificate" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"), [("bootstrap", 0), ("doctor --only certificate", 3), ("status", 12), ("--help", 0)]
)
def test_a_reader_that_leaves_neither_stops_the_work_nor_changes_its_exit_code(
    pi: Pi, arguments: str, code: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "device", *arguments.split()],
        cwd=REPOSITORY,
        env={**os.environ, **pi.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()

    assert (process.wait(60), process.stderr and process.stderr.read()) == (code, "")
    assert (pi.state / "certificate.pem").exists() == (arguments == "bootstrap")


def broken(*argv: str, how: str) -> tuple[str, ...]:
    """Arguments of a Python in which loading the settings goes wrong, as ``how`` says."""
    script = f"import device.settings as s; s.load = {how}\nfrom device.cli import main; raise SystemExit(main({argv}))"
    return "-c", script


def test_a_defect_shows_no_trace(pi: Pi) -> None:
    result = pi.python(*broken("bootstrap", how="None"))

    assert result.returncode == 1
    assert "this is a defect: TypeError" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("how", "error", "code"),
    [("None", "defect", 1), ("lambda _: (_ for _ in ()).throw(KeyboardInterrupt)", "interrupted", 130)],
)
def test_with_json_a_program_gets_an_object_however_it_ends(pi: Pi, how: str, error: str, code: int) -> None:
    result = pi.python(*broken("status", "--json", how=how))

    document = json.loads(result.stdout)
    assert (result.returncode, document["exitCode"], document["error"]) == (code, code, error)
    assert document["ok"] is False
    assert document["cause"] in result.stderr
    assert document["try"] in result.stderr


def test_the_wrapper_runs_from_any_folder(tmp_path: Path) -> None:
    link = tmp_path / "zymkey-iot"
    link.symlink_to(REPOSITORY / "bin" / "zymkey-iot")

    result = subprocess.run([link, "--version"], cwd=tmp_path, capture_output=True, text=True)

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("zymkey-iot ")


def test_without_permission_the_sentence_says_sudo_or_another_folder(pi: Pi, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")

    result = pi.run("bootstrap", "--state", str(blocked / "state"))

    assert result.returncode == 11
    assert "--state DIR" in result.stderr


def test_what_needs_no_network_imports_nothing_of_it(pi: Pi) -> None:
    """A daily timer that finds nothing due costs a Pi Zero nothing of requests, which is half of a bootstrap."""
    assert pi.run("bootstrap").returncode == 0
    script = (
        "import sys\n"
        "from device.cli import main\n"
        "codes = [main(words.split()) for words in ('--help', 'key', 'status', 'renew --if-due', 'config paho')]\n"
        "print(*codes, *sys.modules, file=sys.stderr)\n"
    )
    ended = pi.python("-c", script, HTTPS_PROXY="http://proxy.example:3128")

    codes, loaded = ended.stderr.splitlines()[-1].split()[:5], set(ended.stderr.split())
    assert codes == ["0", "0", "0", "13", "0"], ended.stderr
    assert not {name for name in loaded if name.partition(".")[0] in ("requests", "urllib3", "socks")}


def test_a_request_imports_nothing_that_guesses_encodings(pi: Pi) -> None:
    script = "import sys; from device.cli import main; main(['bootstrap']); print(*sys.modules, file=sys.stderr)"
    loaded = set(pi.python("-c", script).stderr.split())

    assert "requests" in loaded
    assert not loaded & {"charset_normalizer", "chardet", "paho"}
