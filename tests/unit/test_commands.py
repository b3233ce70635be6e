"""What the device's command and the operator's have in common: help, errors, exit codes, closed pipes."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import device.cli
import device.errors
import fleet.cli
import fleet.errors
from fleet.commands import ca
from tests.support.answer import Answer

ROOT = Path(__file__).parents[2]
CLI = {"zymkey-iot": device.cli, "zymkey-fleet": fleet.cli}
ERRORS = {
    "zymkey-iot": (device.errors, device.errors.DeviceError),
    "zymkey-fleet": (fleet.errors, fleet.errors.FleetError),
}
COMMANDS = [
    *(("zymkey-iot", command) for command in device.cli.COMMANDS),
    *(("zymkey-fleet", command) for command in fleet.cli.COMMANDS if command != "ca"),
    *(("zymkey-fleet", f"ca {command}") for command in ca.COMMANDS),
]

EACH = pytest.mark.parametrize("program", CLI)


@pytest.fixture(autouse=True)
def machine_of_nobody(monkeypatch, tmp_path):
    """Neither a device's state and settings nor an operator's credentials."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "ZYMKEY_")) or name in ("ENROLLMENT_URL", "CA_BUNDLE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ZYMKEY_IOT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ZYMKEY_IOT_KEY", f"file:{tmp_path / 'key.pem'}")
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "open sesame")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    """A function that runs one command line in this process."""

    def run(program, *words):
        try:
            code = CLI[program].main(list(words))
        except SystemExit as ended:  # argparse: --help, or a wrong command line
            code = ended.code
        return Answer(code=code, **capsys.readouterr()._asdict())

    return run


@EACH
def test_help_lists_every_command_and_every_exit_code(run, program):
    answer = run(program, "--help")
    assert (answer.code, answer.err) == (0, "")
    lines = [line.split() for line in answer.out.splitlines()]
    assert [line[0] for line in lines if line and line[0] in CLI[program].COMMANDS] == list(CLI[program].COMMANDS)
    exit_codes = answer.out.partition("exit codes:\n")[2].splitlines()
    assert exit_codes == [f"  {code:>3}  {meaning}" for code, meaning in ERRORS[program][0].EXIT_CODES]


def test_the_operator_s_guide_has_the_same_exit_codes():
    guide = (ROOT / "docs" / "operator.md").read_text()
    table = "".join(f"| {code} | {meaning} |\n" for code, meaning in fleet.errors.EXIT_CODES)
    assert f"| exit code | meaning |\n|---:|---|\n{table}\n" in guide


@EACH
def test_every_error_has_a_documented_exit_code_and_a_name_of_its_own(program):
    module, base = ERRORS[program]
    classes = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, base)]
    codes = [code for code, _ in module.EXIT_CODES]
    assert {each.exit_code for each in classes} <= set(codes) - {0}
    assert codes == sorted(set(codes))
    kinds = [base.kind.fget(type(each.__name__, (), {})()) for each in classes]
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind) for kind in kinds)
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize(("program", "command"), COMMANDS, ids=" ".join)
def test_every_command_has_help_with_examples(run, program, command):
    answer = run(program, *command.split(), "--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"usage: {program} {command}")
    examples = answer.out.partition("\nexamples:\n")[2]
    assert f"  {program} {command}" in examples or f"  sudo {program} {command}" in examples


def module_of(program, command):
    if program == "zymkey-iot":
        return importlib.import_module(f"device.commands.{command}")
    name = {"import": "import_"}.get(command, command.replace(" ", "_").replace("-", "_"))
    return importlib.import_module(f"fleet.commands.{name}")


@pytest.mark.parametrize(("program", "command"), COMMANDS, ids=" ".join)
def test_every_command_is_a_module_with_configure_and_run(program, command):
    module = module_of(program, command)
    assert module.configure.__code__.co_varnames[:1] == ("parser",)
    assert module.run.__code__.co_varnames[:1] == ("arguments",)


# These fail before they need a key, a network or AWS.
FAILING = {
    "zymkey-iot": ("publish", "devices/{device}/t", "1"),
    "zymkey-fleet": ("allow", "pi-1", "--key", "no/such.pem"),
}
BROKEN = {"zymkey-iot": "device.settings.load", "zymkey-fleet": "fleet.commands.allow.fingerprint_of"}


def assert_told(answer, *, program, **expected):
    """Cause and cure for a person on stderr, and the same for a program as the one object on stdout."""
    document = answer.json
    assert list(document) == ["ok", "error", "exitCode", "cause", "try"]
    assert document["ok"] is False
    assert {name: document[name] for name in expected} == expected
    assert document["exitCode"] == answer.code
    assert answer.err.strip() == f"{program}: {document['cause']}\nTry: {document['try']}"
    assert "Traceback" not in answer.err


@EACH
def test_an_error_is_told_to_people_and_with_json_to_programs(run, program):
    expected = {
        "zymkey-iot": {"error": "certificate-unusable", "exitCode": 12},
        "zymkey-fleet": {"error": "refused", "exitCode": 1},
    }
    answer = run(program, *FAILING[program], "--json")
    assert_told(answer, program=program, **expected[program])
    without = run(program, *FAILING[program])
    assert (without.code, without.out, without.err) == (answer.code, "", answer.err)


@EACH
def test_a_defect_is_told_without_a_stack_trace_that_a_variable_adds(run, program, monkeypatch):
    monkeypatch.setattr(BROKEN[program], None)
    answer = run(program, *FAILING[program], "--json")
    assert_told(answer, program=program, error="defect")
    assert answer.json["cause"].startswith("this is a defect: TypeError at ")
    assert answer.code == {"zymkey-iot": 1, "zymkey-fleet": 70}[program]
    variable = f"{program.upper().replace('-', '_')}_TRACEBACK"
    assert variable in answer.json["try"]
    monkeypatch.setenv(variable, "1")
    assert "Traceback (most recent call last)" in run(program, *FAILING[program]).err


@EACH
def test_an_interruption_is_told_with_what_to_run_again(run, program, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(BROKEN[program], interrupt)
    answer = run(program, *FAILING[program], "--json")
    assert_told(answer, program=program, error="interrupted", exitCode=130)
    assert "the same command again" in answer.json["try"]


@EACH
def test_a_wrong_command_line_is_argparse_s_to_explain_and_with_json_an_object_too(run, program):
    answer = run(program, FAILING[program][0], "--json", "--bogus")
    assert (answer.code, answer.json["error"], answer.json["exitCode"]) == (2, "usage-error", 2)
    assert answer.json["try"] == f"{program} {FAILING[program][0]} --help"
    assert run(program, FAILING[program][0], "--bogus").out == ""
    assert answer.err.startswith(f"usage: {program} {FAILING[program][0]} ")
    assert f"{program} {FAILING[program][0]}: error: " in answer.err


@EACH
def test_an_unknown_command_is_named_with_those_that_exist(run, program):
    answer = run(program, "bogus")
    assert (answer.code, answer.out) == (2, "")
    assert "bogus" in answer.err
    assert all(command in answer.err for command in CLI[program].COMMANDS)


@pytest.mark.parametrize(
    ("program", "words", "code"),
    [
        ("zymkey-iot", ["--help"], 0),
        ("zymkey-iot", ["key", "--help"], 0),
        ("zymkey-iot", ["status", "--json"], 12),
        ("zymkey-iot", [*FAILING["zymkey-iot"], "--json"], 12),
        ("zymkey-fleet", ["--help"], 0),
        ("zymkey-fleet", ["ca", "create", "--help"], 0),
        ("zymkey-fleet", ["ca", "create", "ca", "--json"], 0),
        ("zymkey-fleet", [*FAILING["zymkey-fleet"], "--json"], 1),
    ],
)
def test_a_reader_that_has_left_changes_neither_the_work_nor_the_exit_code(program, words, code, tmp_path):
    readable, writable = os.pipe()
    os.close(readable)
    try:
        command = [ROOT / "bin" / program, *words]
        done = subprocess.run(command, stdout=writable, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    finally:
        os.close(writable)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
    if words[:2] == ["ca", "create"] and "--json" in words:
        assert (tmp_path / "ca" / "ca.crt").exists()


@EACH
def test_the_command_runs_from_any_folder_and_by_a_link(program, tmp_path):
    link = tmp_path / program
    link.symlink_to(ROOT / "bin" / program)
    done = subprocess.run([link, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {program}")


@EACH
def test_help_loads_nothing_of_weight(program):
    package = CLI[program].__name__.partition(".")[0]
    script = f"import sys; from {package}.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    loaded = subprocess.run(
        [sys.executable, "-c", script + "print(*sys.modules, file=sys.stderr)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stderr.split()
    assert not set(loaded) & {"boto3", "botocore", "cryptography", "requests", "ssl", "json"}


def test_what_the_operator_is_told_to_type_exists():
    texts = [path.read_text() for path in (ROOT / "fleet").rglob("*.py")]
    texts += [(ROOT / "docs" / "operator.md").read_text(), (ROOT / "README.md").read_text()]
    named = {name for text in texts for name in re.findall(r"zymkey-fleet ([a-z]+)\b(?![-.:])", text)}
    assert named
    assert named <= set(fleet.cli.COMMANDS)
    groups = {name for text in texts for name in re.findall(r"zymkey-fleet ca ([a-z-]+)\b", text)}
    assert groups <= set(ca.COMMANDS)
