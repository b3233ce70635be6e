"""`zymkey-iot` against the whole cloud: the operator invites, the device bootstraps, AWS IoT judges."""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sandbox.zymkey.device import SimulatedZymkey
from tests.support import programs
from tests.support.cloud.commands import Command
from tests.support.device.softhsm import SoftHsm


@dataclass
class Device:
    """A device of the sandbox: a name of its own, a Zymkey of its own."""

    name: str
    environment: dict[str, str]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment, "ZYMKEY_IOT_NAME": self.name, **variables}
        return programs.run("zymkey-iot", arguments, env=environment, timeout=120)

    @property
    def state(self) -> Path:
        return Path(self.environment["ZYMKEY_IOT_STATE"])

    def certificate_pem(self) -> bytes:
        return (self.state / "certificate.pem").read_bytes()

    def certificate_id(self) -> str:
        certificate = x509.load_pem_x509_certificate(self.certificate_pem())
        return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()

    def files(self) -> dict[str, tuple[bytes, int]]:
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in self.state.iterdir()}


@pytest.fixture
def device(device_env: dict[str, str]) -> Device:
    return Device(f"pi-{secrets.token_hex(4)}", device_env)


@pytest.fixture
def fleet(sandbox: Any) -> Command:
    """The operator's command, with all rights."""
    return Command("zymkey-fleet", sandbox.env)


@pytest.fixture
def token(fleet: Command, device: Device) -> str:
    return str(fleet("invite", device.name, "--json").json["token"])


def test_the_command_that_invite_prints_is_all_that_a_pi_needs(fleet: Command, device: Device) -> None:
    invitation = fleet("invite", device.name, "--json").json
    environment = {k: v for k, v in device.environment.items() if k != "ENROLLMENT_URL"}

    result = subprocess.run(
        ["sh", "-c", invitation["command"]],
        input=invitation["token"] + "\n",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert result.returncode == 0, result.stderr
    assert f"{device.name} is on AWS IoT" in result.stdout


def test_a_bootstrap_costs_two_signatures_and_a_repetition_one_and_changes_nothing(
    device: Device, zymkey: SimulatedZymkey, token: str
) -> None:
    assert device.run("bootstrap", ZYMKEY_IOT_TOKEN=token).returncode == 0
    assert zymkey.signatures() == 2
    before = device.files()

    assert device.run("bootstrap").returncode == 0

    assert zymkey.signatures() == 3
    assert device.files() == before


def test_lost_files_come_back_byte_identical(device: Device, token: str) -> None:
    assert device.run("bootstrap", ZYMKEY_IOT_TOKEN=token).returncode == 0
    certificate = device.certificate_pem()
    shutil.rmtree(device.state)

    assert device.run("bootstrap").returncode == 0

    assert device.certificate_pem() == certificate


def test_its_own_topics_are_allowed_and_other_devices_are_not(device: Device, token: str) -> None:
    assert device.run("bootstrap", ZYMKEY_IOT_TOKEN=token).returncode == 0

    assert device.run("publish", "devices/{device}/t", "1").returncode == 0
    denied = device.run("publish", "devices/another/t", "1")

    assert denied.returncode == 10
    assert "devices/another/t (403)" in denied.stderr


def test_mqtt_round_trip_and_its_denial(device: Device, token: str) -> None:
    result = device.run("bootstrap", "--mqtt", ZYMKEY_IOT_TOKEN=token)
    assert result.returncode == 0, result.stderr
    assert "published and received" in result.stdout

    denied = device.run("publish", "--mqtt", "devices/another/t", "1")

    assert denied.returncode == 10
    assert "devices/another/t" in denied.stderr


def test_an_allowed_key_needs_no_token(fleet: Command, device: Device) -> None:
    fingerprint = json.loads(device.run("key", "--json").stdout)["fingerprint"]
    assert device.run("bootstrap").returncode == 6
    fleet("allow", device.name, "--key", fingerprint)

    assert device.run("bootstrap").returncode == 0


def test_a_spent_token_is_no_use_to_a_second_key(device: Device, zymkey: SimulatedZymkey, token: str) -> None:
    assert device.run("bootstrap", ZYMKEY_IOT_TOKEN=token).returncode == 0
    zymkey.swap()
    shutil.rmtree(device.state)

    result = device.run("bootstrap", ZYMKEY_IOT_TOKEN=token)

    assert result.returncode == 6
    assert token not in result.stdout + result.stderr


def test_an_inactive_certificate_is_told_from_a_denied_topic(sandbox: Any, device: Device, token: str) -> None:
    assert device.run("bootstrap", ZYMKEY_IOT_TOKEN=token).returncode == 0
    sandbox.boto("iot").update_certificate(certificateId=device.certificate_id(), newStatus="INACTIVE")

    for way in ("signer", "curl"):
        result = device.run("publish", "devices/{device}/t", "1", "--tls", way)
        assert result.returncode == 9, (way, result.stderr)
        assert "refused the certificate" in result.stderr


def test_a_fresh_certificate_is_not_renewed(device: Device, token: str) -> None:
    assert device.run("bootstrap", ZYMKEY_IOT_TOKEN=token).returncode == 0
    before = device.files()

    assert device.run("renew", "--if-due").returncode == 13
    assert device.run("renew").returncode == 13

    assert device.files() == before


@pytest.mark.parametrize("kind", ["zymkey:slot=1", "pkcs11", "engine:zymkey_ssl", "engine:pkcs11", "file:"])
def test_every_kind_of_key_gets_there(device: Device, token: str, tmp_path: Path, kind: str) -> None:
    if "pkcs11" in kind:
        softhsm = SoftHsm(tmp_path / "softhsm")
        device.environment |= softhsm.environment()
        del device.environment["OPENSSL_ENGINES"]  # the sandbox's folder has the simulated Zymkey's engine alone
        kind = softhsm.uri if kind == "pkcs11" else f"engine:{softhsm.uri}"

    result = device.run("bootstrap", "--mqtt", "--key", kind, ZYMKEY_IOT_TOKEN=token)

    assert result.returncode == 0, result.stderr
    assert device.run("publish", "devices/{device}/t", "1").returncode == 0
    assert json.loads(device.run("status", "--json").stdout)["state"] == "valid"
