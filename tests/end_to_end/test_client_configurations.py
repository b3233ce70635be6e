"""`zymkey-iot config CLIENT`: what it prints is run as it is, by the real client, against the sandbox."""

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.wheel import REPOSITORY, UV
from sandbox.zymkey.device import SimulatedZymkey
from tests.support import programs
from tests.support.cloud.commands import Command
from tests.support.device.softhsm import MODULE, PIN, SoftHsm

KINDS = ("zymkey", "pkcs11", "engine:zymkey_ssl", "file")


@dataclass(frozen=True)
class Enrolled:
    """A device of the sandbox that has been bootstrapped, with a key of one kind."""

    name: str
    environment: dict[str, str]
    zymkey: SimulatedZymkey

    @property
    def topic(self) -> str:
        return f"devices/{self.name}/hello"

    def config(self, client: str, *options: str) -> str:
        done = self.zymkey_iot("config", client, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def zymkey_iot(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return programs.run("zymkey-iot", words, env={**os.environ, **self.environment, **variables})

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def run_program(self, python: str | Path, text: str, folder: Path) -> str:
        """Save a printed program, as its first line says, and run it; return what it printed."""
        program = folder / "hello.py"
        program.write_text(text)
        done = self.run(python, program, PYTHONPATH=str(REPOSITORY))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_lines(self, text: str) -> subprocess.CompletedProcess[str]:
        """Paste a printed script into a shell."""
        return self.run("sh", "-eu", "-c", text)


@pytest.fixture(scope="module")
def enroll(sandbox: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Enrolled]:
    """Invite and bootstrap a device with a key of the given kind; one for each kind."""
    enrolled: dict[str, Enrolled] = {}

    def enroll_once(kind: str) -> Enrolled:
        if kind not in enrolled:
            enrolled[kind] = _enrolled(kind, sandbox, tmp_path_factory.mktemp(kind.replace(":", "-")))
        return enrolled[kind]

    return enroll_once


def _enrolled(kind: str, sandbox: Any, folder: Path) -> Enrolled:
    name = f"client-{secrets.token_hex(4)}"
    zymkey = SimulatedZymkey(folder / "zymkey")
    environment = {**sandbox.env, **zymkey.environment(), "ZYMKEY_IOT_STATE": str(folder / "state")}
    uri = f"{kind}:" if kind in ("zymkey", "file") else kind
    if kind == "pkcs11":
        token = SoftHsm(folder / "softhsm")
        environment |= token.environment()
        del environment["OPENSSL_ENGINES"]  # the engine pkcs11 is in its usual place
        uri = token.uri
    device = Enrolled(name, environment, zymkey)
    invitation = Command("zymkey-fleet", sandbox.env)("invite", name, "--json").json
    done = device.zymkey_iot("bootstrap", "--name", name, "--key", uri, ZYMKEY_IOT_TOKEN=invitation["token"])
    assert done.returncode == 0, done.stderr
    return device


@pytest.mark.parametrize("kind", KINDS)
def test_paho_publishes_and_receives(enroll: Callable[[str], Enrolled], kind: str, tmp_path: Path) -> None:
    device = enroll(kind)
    before = device.zymkey.signatures()

    printed = device.run_program(sys.executable, device.config("paho"), tmp_path)

    assert printed == f'{device.topic} {{"hello": "world"}}\n'
    assert device.zymkey.signatures() - before == ("zymkey" in kind)


@pytest.mark.parametrize("kind", KINDS)
def test_requests_publishes(enroll: Callable[[str], Enrolled], kind: str, tmp_path: Path) -> None:
    device = enroll(kind)

    printed = device.run_program(sys.executable, device.config("requests"), tmp_path)

    assert "'message': 'OK'" in printed


@pytest.mark.parametrize("kind", KINDS)
def test_curl_publishes(enroll: Callable[[str], Enrolled], kind: str, tmp_path: Path) -> None:
    device = enroll(kind)
    # The engine asks a person for the PIN; here a file stands in for the person.
    (tmp_path / "pin").write_text(PIN)
    script = re.sub(r"(pkcs11:token=[^' ]*)", rf"\1?pin-source=file:{tmp_path / 'pin'}", device.config("curl"))

    done = device.run_lines(script)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["message"] == "OK"


@pytest.mark.parametrize("kind", ["zymkey", "engine:zymkey_ssl", "file"])
def test_mosquitto_pub_publishes_and_mosquitto_sub_receives(
    enroll: Callable[[str], Enrolled], sandbox: Any, kind: str
) -> None:
    device = enroll(kind)
    *before, publish, subscribe = device.config("mosquitto").splitlines()
    count = device.zymkey.signatures()

    published = device.run_lines("\n".join([*before, publish]))
    received = _received(device, "\n".join([*before, subscribe]), sandbox)

    assert published.returncode == 0, published.stderr
    assert received == f"{device.topic} 21.5\n"
    assert device.zymkey.signatures() - count == (2 if "zymkey" in kind else 0)


def _received(device: Enrolled, script: str, sandbox: Any) -> str:
    """The first message that a printed mosquitto_sub shows; messages are published until it does."""
    process = subprocess.Popen(
        ["sh", "-eu", "-c", f"{script} -C 1 -W 20"],
        cwd=REPOSITORY,
        env={**os.environ, **device.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    data = sandbox.boto("iot-data")
    while process.poll() is None:
        data.publish(topic=device.topic, payload=b"21.5", qos=1)
        time.sleep(0.2)
    output, _ = process.communicate()
    return output


@pytest.fixture(scope="module")
def aws_sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the AWS IoT device SDK. Apart from ours: boto3 behaves otherwise where the SDK is."""
    environment = tmp_path_factory.mktemp("aws-sdk") / "environment"
    python = environment / "bin" / "python"
    requirements = REPOSITORY / "requirements" / "clients.txt"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", requirements], check=True
    )
    return python


def test_the_aws_sdk_publishes_and_receives(enroll: Callable[[str], Enrolled], aws_sdk: Path, tmp_path: Path) -> None:
    device = enroll("pkcs11")

    printed = device.run_program(aws_sdk, device.config("aws-sdk"), tmp_path)

    assert printed == f'{device.topic} {{"hello": "world"}}\n'


def test_greengrass_is_given_the_key_as_its_plugin_asks_for_it(enroll: Callable[[str], Enrolled]) -> None:
    device = enroll("pkcs11")

    configuration = yaml.safe_load(device.config("greengrass"))

    plugin = configuration["services"]["aws.greengrass.crypto.Pkcs11Provider"]["configuration"]
    assert configuration["system"]["thingName"] == device.name
    assert configuration["system"]["privateKeyPath"] == "pkcs11:object=device;type=private"
    shown = device.run("softhsm2-util", "--show-slots").stdout
    assert f"Slot {plugin['slot']}\n" in shown
    assert plugin["userPin"] == "THE-PIN"


def test_greengrass_finds_the_certificate_under_the_label_and_id_of_the_key(enroll: Callable[[str], Enrolled]) -> None:
    device = enroll("pkcs11")
    (line,) = re.findall(r"^# +(openssl x509 .*)$", device.config("greengrass"), re.MULTILINE)

    stored = device.run_lines(f"{line} --pin {PIN}")
    shown = device.run("pkcs11-tool", "--module", MODULE, "--token-label", "fleet", "--list-objects", "--type", "cert")

    assert stored.returncode == 0, stored.stderr
    assert re.search(r"label: +device\n", shown.stdout)
    assert re.search(r"ID: +01\n", shown.stdout)
    assert f"CN={device.name}" in shown.stdout
