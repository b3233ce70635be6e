"""What is wrong with the operator's AWS configuration is told as theirs: never a stack trace, a defect, or a secret."""

import os
import sys
import termios
import time
from pathlib import Path

import pytest

from fleet import aws_session
from fleet.errors import NoCredentials
from tests.support.emulator import CREDENTIALS

SECRET = "PlantedSecret0123456789abcdef"
KEYS = f"aws_access_key_id = AKIAPLANTED\naws_secret_access_key = {SECRET}\n"
ROLE = "role_arn = arn:aws:iam::123456789012:role/x\n"
PYTHON = sys.executable.replace("\\", "/")


def prints(text, code=0):
    """A credential program that prints a text on both streams, and ends with this exit code."""
    return (
        "program",
        f"import sys\nsys.stdout.buffer.write({text!r})\nsys.stderr.buffer.write({text!r})\nsys.exit({code})",
    )


@pytest.fixture
def with_profile(run, monkeypatch, tmp_path):
    """A function that runs ``list`` with a profile of this content, without any other credentials."""

    def with_profile(content):
        for name in CREDENTIALS:
            if "REGION" not in name:
                monkeypatch.delenv(name, raising=False)
        if isinstance(content, tuple):
            (tmp_path / "program.py").write_text(content[1])
            content = f"credential_process = {PYTHON} {tmp_path / 'program.py'}\n"
        if isinstance(content, str):
            content = f"[profile x]\n{content}".encode()
        (tmp_path / "config").write_bytes(content)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("ZYMKEY_FLEET_TRACEBACK", "1")
        return run("list", "--profile", "x")

    return with_profile


def assert_theirs(answer, code, words):
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert "\nTry: " in answer.err
    assert SECRET not in answer.err


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("credential_process = /no/such/program\n", 4, "'/no/such/program', which cannot be used: No such file"),
        ("credential_process = /etc/passwd\n", 4, "'/etc/passwd', which cannot be used: Permission denied"),
        ('credential_process = "unclosed\n', 4, "gave none that can be read (ValueError)"),
        (prints(f"{SECRET} is no JSON".encode()), 4, "gave none that can be read (JSONDecodeError)"),
        (prints(f'["{SECRET}"]'.encode()), 4, "gave none that can be read (AttributeError)"),
        (prints(SECRET.encode() + b"\xff"), 4, "gave none that can be read (UnicodeDecodeError)"),
        (prints(SECRET.encode() + b"\xff", 1), 4, "gave none that can be read (UnicodeDecodeError)"),
        (prints(SECRET.encode(), 1), 4, "credential_process failed"),
        (prints(b'{"Version": 2}'), 4, "credential_process failed"),
        (prints(b'{"Version": 1}'), 4, "credential_process failed"),
        (
            prints(
                f'{{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "{SECRET}", "Expiration": "x"}}'.encode(), 0
            ),
            4,
            "gave none that can be read (ParserError)",
        ),
        (
            f"{ROLE}web_identity_token_file = /no/such/token\n",
            4,
            "'/no/such/token', which cannot be used",
        ),
        (f"{ROLE}web_identity_token_file = /tmp\n", 4, "'/tmp', which cannot be used: Is a directory"),
        (f"{ROLE}source_profile = x\n", 1, "Infinite loop"),
        (f"{ROLE}credential_source = Bogus\n", 1, 'source "Bogus"'),
        (ROLE, 4, "not complete"),
        ("aws_access_key_id = AKIA\n", 4, "not complete"),
        ("login_session = arn:aws:iam::123456789012:user/x\n", 4, "`aws login`"),
        ("sso_session = none\nsso_account_id = 1\nsso_role_name = x\n", 1, "sso-session does not exist"),
        (
            f"[profile x]\n{KEYS}aws_session_token = {SECRET}\x01\n".encode(),
            4,
            "The AWS session token is empty, or holds",
        ),
        (f"[profile x]\n{KEYS}no setting\n".encode(), 1, "Unable to parse config file"),
        (f"[profile x\n{KEYS}".encode(), 1, "Unable to parse config file"),
        (b"\xff\xfe[\x00", 1, "Unable to parse config file"),
        (f"{KEYS}ca_bundle = /no/such.pem\n", 1, "The CA file '/no/such.pem' cannot be used: No such file"),
        (f"{KEYS}defaults_mode = bogus\n", 1, "invalid defaults mode: bogus"),
        (f"{KEYS}sts_regional_endpoints = bogus\n", 1, "bogus"),
    ],
)
def test_a_profile_that_cannot_be_used(with_profile, content, code, words):
    assert_theirs(with_profile(content), code, words)


def test_mfa_without_a_terminal(with_profile):
    content = (
        f"[profile x]\n{ROLE}source_profile = y\nmfa_serial = arn:aws:iam::123456789012:mfa/x\n[profile y]\n{KEYS}"
    )
    assert_theirs(with_profile(content.encode()), 4, "asks for an MFA code, and there is no terminal")


def children():
    return {pid for each in Path("/proc/self/task").glob("*/children") for pid in each.read_text().split()}


REFUSES_TO_END = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


@pytest.mark.parametrize("program", ["import time; time.sleep(60)", REFUSES_TO_END])
@pytest.mark.parametrize(
    "profile", ["credential_process = {}\n", ROLE + "source_profile = y\n[profile y]\ncredential_process = {}\n"]
)
def test_a_credential_program_that_hangs_is_ended(with_profile, monkeypatch, tmp_path, profile, program):
    monkeypatch.setattr("fleet.aws_session._CREDENTIALS_SECONDS", 0.2)
    monkeypatch.setattr("fleet.credential_programs._ENDS_SECONDS", 0.1)
    (tmp_path / "hangs.py").write_text(program)
    before = children()
    answer = with_profile(profile.format(f"{PYTHON} {tmp_path / 'hangs.py'}"))
    assert_theirs(answer, 4, "has not answered within 0.2 s")
    for _ in range(100):
        if children() <= before:
            return
        time.sleep(0.05)
    raise AssertionError("the program still runs")


def test_a_prompt_that_is_left_leaves_the_terminal_as_it_was(monkeypatch):
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)

    class Prompts:
        def get_credentials(self):
            silent = termios.tcgetattr(theirs)
            silent[3] &= ~termios.ECHO
            termios.tcsetattr(theirs, termios.TCSADRAIN, silent)
            time.sleep(0.3)

    monkeypatch.setattr("fleet.aws_session._CREDENTIALS_SECONDS", 0.1)
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        with pytest.raises(NoCredentials, match="has not answered"):
            aws_session._credentials(Prompts())
        assert termios.tcgetattr(theirs) == before
        assert before[3] & termios.ECHO
    os.close(ours)


@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("AWS_ENDPOINT_URL", "localhost:4566", 1, "endpoint that is configured for cloudformation cannot be used"),
        ("AWS_ENDPOINT_URL", "foo", 1, "with its scheme"),
        ("AWS_ENDPOINT_URL", "ftp://x", 1, "with its scheme"),
        ("AWS_ENDPOINT_URL", "http://", 1, "with its scheme"),
        ("AWS_ENDPOINT_URL", "http://[::1", 1, "with its scheme"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:99999", 1, "with its scheme"),
        ("AWS_ENDPOINT_URL", "http://exa mple", 1, "with its scheme"),
        ("AWS_ENDPOINT_URL", f"http://user:{SECRET}@127.0.0.1:9", 1, "with its scheme"),
        ("AWS_CA_BUNDLE", "/no/such.pem", 1, "cannot be used: No such file"),
        ("AWS_CA_BUNDLE", "/etc/hostname", 1, "it holds no CA certificate"),
        ("AWS_CA_BUNDLE", "/dev/zero", 1, "it holds no CA certificate"),
        ("AWS_CA_BUNDLE", "/tmp", 1, "Is a directory"),  # noqa: S108 - a folder that is there
        ("AWS_CA_BUNDLE", "", 1, "Invalid CA bundle"),
        ("REQUESTS_CA_BUNDLE", "/no/such.pem", 1, "cannot be used: No such file"),
        ("HTTPS_PROXY", f"http://u:{SECRET}#w@h:1", 1, "$HTTPS_PROXY is no URL"),
        ("HTTPS_PROXY", f"http://u:{SECRET}/w@h:1", 1, "%23"),
        ("HTTPS_PROXY", "http://[bad", 1, "is no URL"),
        ("HTTPS_PROXY", "h:99999", 1, "is no URL"),
        ("ALL_PROXY", "::::", 1, "$ALL_PROXY is no URL"),
        ("AWS_DEFAULTS_MODE", "bogus", 1, "invalid defaults mode: bogus"),
        ("AWS_REGION", "us east", 1, "The AWS Region is none"),
        ("AWS_REGION", "$(reboot)", 1, "The AWS Region is none"),
        ("AWS_SESSION_TOKEN", f"{SECRET}\nand-more-{SECRET}", 4, "The AWS session token is empty, or holds a blank"),
        ("AWS_SESSION_TOKEN", f"{SECRET}é", 4, "not ASCII"),
        ("AWS_SECRET_ACCESS_KEY", f"{SECRET}\r", 4, "The AWS secret access key"),
        ("AWS_ACCESS_KEY_ID", "AKIA\nX", 4, "The AWS access key id"),
    ],
)
def test_an_environment_that_cannot_be_used(run, monkeypatch, name, value, code, words):
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("ZYMKEY_FLEET_TRACEBACK", "1")
    assert_theirs(run("list"), code, words)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/such", "AWS_ROLE_ARN": ROLE.split()[2]}, "$AWS_WEB_IDENTITY_TOKEN_FILE"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/x"}, "$AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        (
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/x",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/no/such",
            },
            "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ),
        ({"AWS_METADATA_SERVICE_TIMEOUT": "soon"}, "correct that setting in ~/.aws/config or in the environment"),
    ],
)
def test_the_cure_names_the_setting_of_the_provider_that_failed(run, monkeypatch, variables, words):
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    answer = run("list")
    assert_theirs(answer, 4, words)
    assert "credential_process" not in answer.err


def test_a_program_that_is_not_there_is_the_credential_process(with_profile):
    assert_theirs(with_profile("credential_process = /no/such/program\n"), 4, "credential_process by hand")


def test_the_region_of_every_aws_tool_is_read(run, cloud, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert run("list").code == 0
    monkeypatch.setenv("AWS_REGION", "")
    assert "No AWS Region is chosen" in run("list").err


def test_the_region_of_the_command_line_comes_first(run, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("ZYMKEY_FLEET", "none")
    assert "in Region eu-central-1 " in run("list", "--region", "eu-central-1").err
    assert "in Region eu-west-1 " in run("list").err
