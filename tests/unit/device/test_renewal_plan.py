"""Whether anything renews the certificate: bootstrap, status and doctor say the same of each state of systemd."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from device.service import systemctl
from device.service.renewal import words
from device.service.unit_files import RENEW, TIMER
from device.store import StateFolder
from tests.support.device.authority import DAY, Authority, common_name, now
from tests.support.device.diagnosis import Diagnose
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

INSTALL = "sudo zymkey-iot service install"
HEALTHY_TIMER = {
    "Id": TIMER,
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "ActiveState": "active",
    "NextElapseUSecRealtime": "Wed 2026-11-25 18:11:02 UTC",
}
HEALTHY_SERVICE = {
    "Id": RENEW,
    "LoadState": "loaded",
    "UnitFileState": "static",
    "ActiveState": "inactive",
    "Result": "success",
    "ExecMainStatus": "13",
}


class Manager:
    """systemd as it runs on a Pi: `systemctl show` prints what it is told here."""

    def __init__(self, folder: Path, state: Path) -> None:
        self._shown = folder / "shown"
        self.program = folder / "systemctl"
        self.program.write_text(f'#!/bin/sh\n[ "$1" = show ] && cat {self._shown}\n')
        self.program.chmod(0o755)
        self.state = state
        self.says()

    def says(self, timer: dict[str, str] | None = None, service: dict[str, str] | None = None) -> None:
        of_this_device = {"Environment": f"LANG=C ZYMKEY_IOT_STATE={self.state}"}
        blocks = ({**HEALTHY_TIMER, **(timer or {})}, {**HEALTHY_SERVICE, **of_this_device, **(service or {})})
        lines = ["".join(f"{name}={value}\n" for name, value in block.items()) for block in blocks]
        self._shown.write_text("\n".join(lines))


@pytest.fixture
def manager(tmp_path: Path, pi: Pi, monkeypatch: pytest.MonkeyPatch) -> Manager:
    folder = tmp_path / "systemd"
    folder.mkdir()
    monkeypatch.setattr(systemctl, "_BOOTED", folder)
    monkeypatch.delenv("SYSTEMD_OFFLINE")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return Manager(folder, pi.state)


@pytest.fixture
def enrolled(pi: Pi, manager: Manager, zymkey_iot: Command) -> Pi:
    assert zymkey_iot("bootstrap").returncode == 0
    return pi


def check(diagnose: Diagnose, status: str) -> tuple[str, str]:
    found = diagnose("--only", "renewal").checks["renewal"]
    assert found["status"] == status, found
    return str(found["text"]), str(found.get("try", ""))


def test_a_timer_that_runs_needs_no_word_at_the_end_of_a_bootstrap(
    enrolled: Pi, zymkey_iot: Command, diagnose: Diagnose
) -> None:
    assert zymkey_iot("bootstrap").stdout.endswith("The key signed once.\n")
    assert "next looks on Wed 2026-11-25 18:11:02 UTC" in zymkey_iot("status").stdout
    assert json.loads(zymkey_iot("status", "--json").stdout)["renewal"]["plan"] == "scheduled"
    assert "by the timer" in check(diagnose, "ok")[0]


@pytest.mark.parametrize(
    ("timer", "service", "why", "cure"),
    [
        ({"LoadState": "not-found"}, {}, "the service is not installed", INSTALL),
        ({}, {"LoadState": "not-found"}, "the service is not installed", INSTALL),
        ({"LoadState": "masked"}, {}, "is masked", f"systemctl unmask {TIMER} && {INSTALL}"),
        ({}, {"LoadState": "bad-setting"}, f"systemd cannot load {RENEW} (bad-setting)", f"systemctl status {RENEW}"),
        ({"ActiveState": "inactive"}, {}, f"{TIMER} is inactive", f"systemctl enable --now {TIMER}"),
        ({"ActiveState": "failed"}, {}, f"{TIMER} is failed", f"systemctl enable --now {TIMER}"),
        ({"UnitFileState": "disabled"}, {}, "does not start at the next boot", f"systemctl enable --now {TIMER}"),
        ({}, {"Environment": ""}, "the service renews another one, in /var/lib/zymkey-iot", "--state"),
        ({}, {"Environment": 'A=1 "ZYMKEY_IOT_STATE=/data/my \\"pi\\" \\$"'}, 'in /data/my "pi" $', "--state"),
    ],
)
def test_what_keeps_the_timer_from_renewing_is_the_last_line_of_a_bootstrap(
    enrolled: Pi,
    manager: Manager,
    zymkey_iot: Command,
    diagnose: Diagnose,
    timer: dict[str, str],
    service: dict[str, str],
    why: str,
    cure: str,
) -> None:
    manager.says(timer, service)

    last = zymkey_iot("bootstrap").stdout.splitlines()[-1]

    assert last.startswith("Nothing renews this certificate: ")
    assert (why in last, cure in last) == (True, True), last
    assert last in zymkey_iot("status").stdout
    document = json.loads(zymkey_iot("bootstrap", "--json").stdout)
    assert document["renewal"]["plan"] == "none"
    text, tries = check(diagnose, "warning")
    assert (why in text, cure in tries) == (True, True)


def test_a_service_that_has_another_key_renews_nothing_here(
    enrolled: Pi, manager: Manager, zymkey_iot: Command
) -> None:
    manager.says(service={"Environment": f"ZYMKEY_IOT_STATE={enrolled.state} ZYMKEY_IOT_KEY=zymkey:slot=0"})
    assert "renews another one, with the key zymkey:slot=0" in zymkey_iot("status").stdout
    assert "renews another one" not in zymkey_iot("status", "--key", "zymkey:").stdout


def test_a_last_run_that_failed_is_told_with_its_exit_code(
    enrolled: Pi, manager: Manager, zymkey_iot: Command, diagnose: Diagnose
) -> None:
    manager.says(
        service={"Result": "exit-code", "ExecMainStatus": "4", "ExecMainExitTimestamp": "Tue 2026-11-24 06:02:11 UTC"}
    )

    for text in (zymkey_iot("status").stdout, check(diagnose, "warning")[0], zymkey_iot("bootstrap").stdout):
        assert "the last renewal run failed on Tue 2026-11-24 06:02:11 UTC (exit-code, exit code 4: network" in (
            text.replace("The last", "the last")
        )
    manager.says(service={"Result": "exit-code", "ExecMainStatus": "13"})
    assert check(diagnose, "warning") == (
        "the hooks failed after the last renewal run.",
        "sudo zymkey-iot hooks, which says which hook fails",
    )
    manager.says(service={"Result": "timeout", "ExecMainStatus": "0"})
    assert "the last renewal run failed (timeout)." in check(diagnose, "warning")[0]


def test_without_systemd_it_is_not_known_and_said_so(
    enrolled: Pi, zymkey_iot: Command, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemctl, "_BOOTED", Path("/no/such/folder"))

    assert "zymkey-iot renew --if-due run every day" in zymkey_iot("bootstrap").stdout.splitlines()[-1]
    assert json.loads(zymkey_iot("status", "--json").stdout)["renewal"]["plan"] == "unknown"
    assert "It is not known whether anything renews this certificate" in check(diagnose, "skipped")[0]


@pytest.mark.parametrize("script", [None, "echo Failed to connect to bus: No such file >&2; exit 1"])
def test_a_systemd_that_does_not_answer_is_not_known_either(
    enrolled: Pi, manager: Manager, zymkey_iot: Command, script: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script is None:
        monkeypatch.setenv("PATH", "/no/such/folder")
    else:
        manager.program.write_text(f"#!/bin/sh\n{script}\n")

    done = zymkey_iot("status")

    assert done.returncode == 0
    assert ("Failed to connect" if script else "there is no systemctl command") in done.stdout


def test_a_renewal_that_is_late_and_hooks_that_wait_are_warnings_whoever_renews(
    enrolled: Pi, authority: Authority, diagnose: Diagnose, zymkey_iot: Command
) -> None:
    state = StateFolder(enrolled.state)
    state.hooks_path.touch()
    assert "hooks have not run yet" in check(diagnose, "warning")[0]
    assert "sudo zymkey-iot hooks" in zymkey_iot("status").stdout
    state.hooks_are_done()
    assert "\nhooks " not in zymkey_iot("status").stdout

    public_key = load_pem_x509_certificate(state.certificate_path.read_bytes()).public_key()
    for age, status in ((200, "ok"), (359, "warning")):
        since = now() - age * DAY
        certificate = authority.issue(public_key, common_name("pi-7"), since=since, until=since + 365 * DAY)
        state.certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
        text, cure = check(diagnose, status)
        assert ("overdue since" in text, "sudo zymkey-iot renew" in cure) == (status == "warning",) * 2


def test_a_device_without_a_certificate_has_nothing_to_renew(manager: Manager, diagnose: Diagnose) -> None:
    assert check(diagnose, "skipped")[0] == "there is no certificate to renew."


def test_words_of_a_list_are_told_apart_as_systemctl_writes_them() -> None:
    assert words('A=1 "B=a b" "C=\\"\\\\ \\$x" D="') == ["A=1", "B=a b", 'C="\\ $x', 'D="']
