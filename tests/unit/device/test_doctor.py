"""doctor as a whole: what it tells in which form, what it skips, how it ends. The faults are in tests/end_to_end."""

import json
import os
import pty
import re
import subprocess
import sys
from types import ModuleType

import pytest

from device.doctor.checklist import BY_ID, CHECKS, select
from device.doctor.finding import Result, Status
from device.doctor.report import in_a_sentence, wrapped
from device.doctor.runner import exit_code
from device.errors import UsageError
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.diagnosis import Diagnose
from tests.support.device.pi import REPOSITORY, Pi


def test_with_every_kind_of_key_a_healthy_device_is_said_to_be_well(any_pi: Pi, endpoint: DataEndpoint) -> None:
    any_pi.environment["IOT_MQTT_PORT"] = str(endpoint.port)
    assert any_pi.run("bootstrap").returncode == 0

    result = any_pi.run("doctor", "--json")

    checks = {check["id"]: check for check in json.loads(result.stdout)["checks"]}
    bad = {name: check for name, check in checks.items() if check["status"] not in ("ok", "skipped")}
    software = any_pi.environment["ZYMKEY_IOT_KEY"] == "file:"
    assert set(bad) == ({"hsm"} if software else set()), bad
    assert result.returncode == (16 if software else 0)
    skipped = {name for name, check in checks.items() if check["status"] == "skipped"}
    assert skipped == {"renewal"} | ({"openssl-engine", "curl-engine"} if software else set())
    assert checks["signature"]["facts"]["milliseconds"] > 0
    assert endpoint.published[-1].topic == "devices/pi-7/bootstrap"


def test_before_the_first_bootstrap_all_is_checked_that_can_be(diagnose: Diagnose) -> None:
    found = diagnose("--only", "publish", "--only", "endpoint-https-port", "--only", "certificate")

    assert found.status("endpoint-https-port") == "ok", "the cloud tells where the data endpoint is"
    assert found.status("certificate") == "failed"
    assert found.checks["certificate"]["try"] == "sudo zymkey-iot bootstrap"
    assert found.status("publish") == "skipped"


def test_without_an_enrollment_url_what_is_on_the_pi_is_still_checked(pi: Pi, diagnose: Diagnose) -> None:
    del pi.environment["ENROLLMENT_URL"]
    found = diagnose()

    assert found.status("settings") == "warning"
    assert "ENROLLMENT_URL" in found.checks["settings"]["try"]
    assert {found.status(name) for name in ("enrollment-dns", "enrollment", "endpoint-dns")} == {"skipped"}
    assert found.status("disk") == found.status("tls") == "ok"


def test_settings_that_cannot_be_read_are_the_first_thing_to_mend(pi: Pi, diagnose: Diagnose) -> None:
    found = diagnose(IOT_HTTPS_PORT="none")

    assert (found.code, found.status("settings")) == (2, "failed")
    assert "IOT_HTTPS_PORT" in found.text("settings")
    assert {check["status"] for name, check in found.checks.items() if name != "settings"} == {"skipped"}


def test_a_skipped_check_names_the_one_to_begin_with(pi: Pi, diagnose: Diagnose) -> None:
    found = diagnose("--key", "file:/nowhere/key.pem")

    assert (found.code, found.status("hsm")) == (3, "failed")
    assert found.text("publish") == "needs hsm, which failed."
    assert found.checks["publish"]["needs"] == "hsm"


def test_only_shows_what_was_asked_for_and_what_is_in_its_way(pi: Pi, diagnose: Diagnose) -> None:
    pi.run("bootstrap")

    assert list(diagnose("--only", "slot").checks) == ["slot"]
    assert list(diagnose("--only", "slot", "--only", "disk").checks) == ["slot", "disk"]
    assert list(diagnose("--only", "slot", "--key", "file:/nowhere").checks) == ["hsm", "slot"]


def test_an_unknown_check_is_answered_with_those_that_there_are(pi: Pi) -> None:
    result = pi.run("doctor", "--only", "hms")

    assert result.returncode == 2
    assert "there is no check 'hms'" in result.stderr
    assert all(check.id in result.stderr for check in CHECKS)


def test_a_program_gets_one_object_with_a_cure_for_every_failure(pi: Pi, diagnose: Diagnose) -> None:
    found = diagnose()

    assert found.document["ok"] is False
    assert found.document["exitCode"] == found.code
    assert list(found.checks) == [check.id for check in CHECKS]
    for check in found.checks.values():
        assert check["status"] in ("ok", "warning", "failed", "skipped")
        assert check["text"]
        assert check["seconds"] >= 0
        if check["status"] == "failed":
            assert check["try"]
            assert check["error"]
            assert check["exitCode"] not in (0, 1)


def test_in_a_pipe_there_is_a_line_for_each_check_and_nothing_else(pi: Pi) -> None:
    pi.run("bootstrap")
    output = pi.run("doctor").stdout

    lines = [line for line in output.splitlines() if not line.lstrip().startswith("Try: ")]
    assert [line.split()[1] for line in lines[:-1]] == [check.id for check in CHECKS]
    assert "\033" not in output
    assert "\r" not in output


def test_on_a_terminal_it_says_what_it_is_at_in_colour_and_no_wider_than_the_terminal(pi: Pi) -> None:
    terminal, program = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "device", "doctor", "--only", "settings", "--only", "hsm"],
        cwd=REPOSITORY,
        env={**os.environ, **pi.environment, "COLUMNS": "80"},
        stdout=program,
    )
    os.close(program)
    output = ""
    try:
        while data := os.read(terminal, 4096):
            output += data.decode()
    except OSError:
        pass  # Linux: the other side of the terminal has been closed.
    process.wait(20)
    os.close(terminal)

    assert "…        library" in output
    assert "\033[31mfailed\033[0m" in output
    seen = re.sub(r"[^\n]*\r\033\[2K", "", output.replace("\r\n", "\n"))
    plain = re.sub(r"\033\[\d*m", "", seen)
    assert all(len(line) <= 80 or " " not in line.strip() for line in plain.splitlines())
    assert [line.split()[0] for line in plain.splitlines() if not line.startswith(" ")][:2] == ["ok", "failed"]


def test_a_package_that_is_missing_is_named_and_the_network_is_still_checked(pi: Pi) -> None:
    result = pi.python(
        "-c",
        "import sys; sys.modules['cryptography'] = None\n"
        "from device.cli import main; raise SystemExit(main(['doctor', '--json']))",
    )

    checks = {check["id"]: check for check in json.loads(result.stdout)["checks"]}
    assert (result.returncode, checks["python"]["status"]) == (2, "failed")
    assert "cryptography" in checks["python"]["text"]
    assert checks["hsm"]["needs"] == "python"
    assert checks["enrollment-port"]["status"] == checks["disk"]["status"] == "ok"


def test_a_defect_in_one_check_does_not_hide_what_the_others_find(
    pi: Pi, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    from device.doctor.checks import storage

    monkeypatch.setattr(storage, "disk", lambda _: 1 / 0)
    found = diagnose()

    assert "defect: ZeroDivisionError at" in found.text("disk")
    assert found.checks["disk"]["exitCode"] == 1
    assert found.status("enrollment") == "ok"


def test_each_check_is_a_function_and_comes_after_what_it_depends_on() -> None:
    from importlib import import_module

    seen: set[str] = set()
    for check in CHECKS:
        module: ModuleType = import_module(f"device.doctor.checks.{check.module}")
        assert callable(getattr(module, check.id.replace("-", "_")))
        assert {*check.needs, *check.after} <= seen
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", check.id)
        seen.add(check.id)
    assert len(BY_ID) == len(CHECKS)


def test_a_selection_brings_what_it_depends_on_in_order() -> None:
    assert [check.id for check in select(["slot"])] == [
        *("settings", "python", "tls", "openssl-engine", "library", "hsm", "slot")
    ]
    assert select([]) == list(CHECKS)
    with pytest.raises(UsageError, match="'x'"):
        select(["x"])


def result(check: str, status: Status, code: int = 0, needs: str | None = None) -> Result:
    return Result(check=check, status=status, text="", exit_code=code, needs=needs)


def test_the_exit_code_is_the_first_failures_or_tells_warnings() -> None:
    ok, skipped = result("python", Status.OK), result("publish", Status.SKIPPED)
    warned = result("tls", Status.WARNING)
    disk, port = result("disk", Status.FAILED, 11), result("enrollment-port", Status.FAILED, 4)

    assert exit_code([ok, skipped]) == 0
    assert exit_code([ok, warned, skipped]) == 16
    assert exit_code([ok, warned, disk, port]) == 11


def test_the_last_line_says_where_to_begin() -> None:
    disk, port = result("disk", Status.FAILED), result("enrollment-port", Status.FAILED)
    waits = result("enrollment", Status.SKIPPED, needs="enrollment-port")
    without_need = result("curl-engine", Status.SKIPPED)

    assert in_a_sentence([result("python", Status.OK), without_need]) == "All checks passed."
    assert in_a_sentence([result("tls", Status.WARNING)]) == "No check failed. Look at tls."
    assert in_a_sentence([disk]) == "disk failed."
    assert in_a_sentence([port, waits]) == "enrollment-port failed. 1 check was skipped because of that."
    assert in_a_sentence([disk, port, waits]).startswith("disk and enrollment-port failed: begin with disk.")


def test_a_long_line_hangs_under_its_text_and_keeps_commands_whole() -> None:
    line = f"failed   {'disk':<20} " + "word " * 20 + "--a-long-option=/with/a/path"

    first, *rest = wrapped(line, 80).splitlines()

    assert len(rest) > 1
    assert all(part.startswith(" " * 30) for part in rest)
    assert rest[-1].endswith("--a-long-option=/with/a/path")
    assert len(first) <= 80
