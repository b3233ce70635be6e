"""One suite of behaviour for every kind of key: what the device promises does not depend on where its key is."""

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import EstServer
from tests.support.device.pi import Pi


def certificate(pi: Pi) -> x509.Certificate:
    return x509.load_pem_x509_certificate((pi.state / "certificate.pem").read_bytes())


def test_bootstrap_certifies_the_key_that_is_shown(any_pi: Pi, endpoint: DataEndpoint) -> None:
    result = any_pi.run("bootstrap", "--json")
    assert result.returncode == 0, result.stderr

    shown = json.loads(any_pi.run("key", "--json").stdout)
    assert certificate(any_pi).public_key() == serialization.load_pem_public_key(shown["publicKey"].encode())
    assert json.loads(result.stdout)["fingerprint"] == shown["fingerprint"]
    assert x509.load_der_x509_certificate(endpoint.published[0].certificate) == certificate(any_pi)


def test_two_signatures_make_a_bootstrap_and_one_repeats_it(any_pi: Pi, est: EstServer) -> None:
    assert json.loads(any_pi.run("bootstrap", "--json").stdout)["signatures"] == 2
    before, asked = any_pi.files(), len(est.asked)

    assert json.loads(any_pi.run("bootstrap", "--json").stdout)["signatures"] == 1

    assert any_pi.files() == before
    assert len(est.asked) == asked


def test_publish(any_pi: Pi, endpoint: DataEndpoint) -> None:
    assert any_pi.run("bootstrap").returncode == 0
    result = any_pi.run("publish", "devices/{device}/t", "21.5")

    assert result.returncode == 0, result.stderr
    assert (endpoint.published[-1].topic, endpoint.published[-1].payload) == ("devices/pi-7/t", b"21.5")


@pytest.mark.parametrize("way", ["signer", "curl"])
def test_publish_by_either_way_of_tls(any_pi: Pi, endpoint: DataEndpoint, way: str) -> None:
    assert any_pi.run("bootstrap").returncode == 0
    result = any_pi.run("publish", "devices/{device}/ü ?", "x", "--tls", way)

    assert result.returncode == 0, result.stderr
    assert endpoint.published[-1].topic == "devices/pi-7/ü ?"
    assert ("curl" if way == "curl" else "TLS in this process") in result.stdout


@pytest.mark.parametrize("way", ["signer", "curl"])
def test_refusals_mean_the_same_by_either_way_of_tls(any_pi: Pi, endpoint: DataEndpoint, way: str) -> None:
    assert any_pi.run("bootstrap").returncode == 0

    def code() -> int:
        return any_pi.run("publish", "devices/{device}/t", "x", "--tls", way).returncode

    endpoint.statuses = [403]
    assert code() == 10
    endpoint.refuse = ["end"]
    assert code() == 9
    endpoint.refuse = ["reset"]
    assert code() == 9
    endpoint.statuses = [503]
    assert code() == 8


def test_renew_replaces_the_certificate_and_keeps_the_key(any_pi: Pi, est: EstServer) -> None:
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert any_pi.run("bootstrap").returncode == 0
    old = certificate(any_pi)
    est.issued.clear()
    est.valid_since = timedelta(0)

    result = any_pi.run("renew", "--if-due")

    assert result.returncode == 0, result.stderr
    assert certificate(any_pi) != old
    assert certificate(any_pi).public_key() == old.public_key()
    assert any_pi.run("renew", "--if-due").returncode == 13


def test_status(any_pi: Pi) -> None:
    assert any_pi.run("bootstrap").returncode == 0
    status = json.loads(any_pi.run("status", "--json").stdout)

    assert (status["ok"], status["state"], status["name"]) == (True, "valid", "pi-7")
    assert status["fingerprint"].startswith("SHA256:")


def test_the_commands_that_explain_prints_work_when_pasted(any_pi: Pi, endpoint: DataEndpoint, tmp_path: Path) -> None:
    assert any_pi.run("bootstrap").returncode == 0
    script = any_pi.run("explain").stdout
    # The engine asks a person for the PIN; here a file stands in for the person.
    pin = tmp_path / "pin"
    pin.write_text("1234")
    script = re.sub(r"(pkcs11:token=[^' ]*)", rf"\1?pin-source=file:{pin}", script)
    folder = tmp_path / "by-hand"
    folder.mkdir()

    result = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **any_pi.environment},
        capture_output=True,
        text=True,
    )

    assert result.returncode == 0, script + result.stderr
    assert (folder / "certificate.pem").read_bytes() == (any_pi.state / "certificate.pem").read_bytes()
    assert endpoint.published[-1].payload == b'{"hello": "world"}'


def test_lost_files_come_back(any_pi: Pi) -> None:
    assert any_pi.run("bootstrap").returncode == 0
    kept = certificate(any_pi)
    key = any_pi.state / "key.pem"
    software_key = key.read_bytes() if key.exists() else None
    shutil.rmtree(any_pi.state)
    if software_key:
        any_pi.state.mkdir()
        key.write_bytes(software_key)

    assert any_pi.run("bootstrap").returncode == 0
    assert certificate(any_pi) == kept
