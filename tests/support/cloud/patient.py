"""A device that works, for faults to be injected into: its own Zymkey, state folder and certificate."""

import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.zymkey.device import SimulatedZymkey
from tests.support import programs
from tests.support.cloud.enrollment import Cloud
from tests.support.device.preload import compiled

REPOSITORY = Path(__file__).parents[3]


@dataclass
class Patient:
    """One device. `afterwards` undoes what a fault did to things that are not the device's own."""

    folder: Path
    environment: dict[str, str]
    sandbox: Any
    certificate_id: str
    python: str = sys.executable
    arguments: list[str] = field(default_factory=list)
    before_start: Callable[[], None] | None = None
    """Called in the new process before the program is started."""

    afterwards: ExitStack = field(default_factory=ExitStack)

    @property
    def name(self) -> str:
        return self.environment["ZYMKEY_IOT_NAME"]

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def zymkey(self) -> SimulatedZymkey:
        return SimulatedZymkey(self.folder / "zymkey")

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A command of the device, as a process of its own, and its output as one that is piped."""
        if self.python == sys.executable and self.before_start is None:
            return programs.run("zymkey-iot", arguments, env=self.environment)
        return subprocess.run(
            [self.python, "-m", "device", *arguments],
            cwd=REPOSITORY,
            env=self.environment,
            preexec_fn=self.before_start,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def doctor(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run("doctor", *self.arguments, *arguments)

    def preload(self, name: str) -> None:
        """Change what programs see of this machine, by a C library beside the device's unit tests."""
        self.environment["LD_PRELOAD"] = compiled(name, self.folder)

    def scratch(self, name: str) -> Path:
        """A new folder for what a fault needs."""
        path = self.folder / name
        path.mkdir()
        return path


def bootstrapped(sandbox: Any, folder: Path) -> Patient:
    """Let a new device in by its key, and bootstrap it."""
    zymkey = SimulatedZymkey(folder / "zymkey")
    own = {variable: value for variable, value in sandbox.env.items() if not variable.lower().endswith("_proxy")}
    name = f"pi-{secrets.token_hex(4)}"
    environment = {
        **{variable: value for variable, value in own.items() if not variable.startswith("ZYMKEY_")},
        **zymkey.environment(),
        "ZYMKEY_IOT_NAME": name,
        "ZYMKEY_IOT_STATE": str(folder / "state"),
        "LC_ALL": "C.UTF-8",
        "SYSTEMD_OFFLINE": "1",
    }
    patient = Patient(folder, environment, sandbox, certificate_id="")
    fingerprint = json_of(patient.run("key", "--json"))["fingerprint"]
    Cloud(sandbox).ledger.allow(name, fingerprint=fingerprint, by="test", now=int(time.time()))
    patient.certificate_id = json_of(patient.run("bootstrap", "--json"))["certificateId"]
    return patient


def copy_of(healthy: Patient, folder: Path) -> Patient:
    """The same device in a folder of its own, to be spoilt."""
    shutil.copytree(healthy.folder, folder, dirs_exist_ok=True)
    environment = {
        variable: value.replace(str(healthy.folder), str(folder)) for variable, value in healthy.environment.items()
    }
    return Patient(folder, environment, healthy.sandbox, healthy.certificate_id)


def json_of(result: "subprocess.CompletedProcess[str]") -> Any:
    import json

    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)


def anonymous(text: str, patient: Patient) -> str:
    """What doctor said, without what differs from run to run and from machine to machine."""
    addresses = patient.sandbox.addresses
    for actual, shown in (
        (str(patient.state), "/var/lib/zymkey-iot"),
        (str(patient.folder), "/…"),
        (str(Path(patient.environment["CA_BUNDLE"]).parent), "/…"),
        (patient.name, "pi-7"),
        (patient.certificate_id[:12], "3f9a1c0e77d2"),
        (f"port {patient.environment['IOT_HTTPS_PORT']}", "port 8443"),
        (f"port {addresses.mqtt_port}", "port 8883"),
        (f"port {addresses.gateway_port}", "port 4566"),
    ):
        text = text.replace(actual, shown)
    for pattern, shown in (
        (r"\d{4}-\d\d-\d\d", "YYYY-MM-DD"),
        (r"\d\d:\d\d(?= UTC|:)", "HH:MM"),
        (r"trace id [0-9a-f-]{36}", "trace id …"),
        (r"/_aws/execute-api/\w+/\S+", ""),
        (r"(?<=[Pp]ython)( ?)3\.[\d.]+", r"\g<1>3.x"),
        (r" \(x86_64\)| \(aarch64\)", ""),
        (r"(cryptography|sslcontext|certifi|requests|urllib3) \d[\w.]*\w", r"\1 …"),
        (r"(?<=OpenSSL )\d+\.[\d.]+\w*", "3.x"),
        (r"curl \S+ (?=loads the engine\n)", "curl … "),
        (r"serial \w+", "serial …"),
        (r"SHA256:\S+", "SHA256:…"),
        (r"\d+ (ms|MiB)", r"… \1"),
        (rf":{addresses.gateway_port}\b", ":4566"),
    ):
        text = re.sub(pattern, shown, text)
    return text
