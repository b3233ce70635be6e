"""What single checks of doctor find, beyond the twenty faults of tests/end_to_end: of the key, the clock, the cloud."""

import datetime
import os
import shutil
import socket
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.curl_engines import engine_fault, version_in
from device.doctor.checks.clock import in_words
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.diagnosis import Diagnose
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.pi import Pi


@pytest.fixture
def enrolled(pi: Pi) -> Pi:
    """A device that is well, but for its software key."""
    assert pi.run("bootstrap").returncode == 0
    return pi


# The key


def test_a_slot_with_a_key_that_aws_does_not_take_is_the_slots_fault_and_not_the_hsms(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    zymkey.put_key(1, key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    found = diagnose("--only", "slot", "--only", "hsm", "--key", "zymkey:slot=1")

    assert (found.code, found.status("hsm"), found.status("slot")) == (3, "ok", "failed")
    assert "secp256k1" in found.text("slot")


def test_an_hsm_that_answers_and_does_not_sign(zymkey_pi: Pi, zymkey: SimulatedZymkey, diagnose: Diagnose) -> None:
    zymkey.put_key(0, _p256())
    found = diagnose("--only", "signature")
    assert found.status("signature") == "ok"
    assert found.checks["signature"]["facts"]["milliseconds"] < 1000

    zymkey.delay(120)
    assert 120 < diagnose("--only", "signature").checks["signature"]["facts"]["milliseconds"] < 2000


def test_engines_are_only_a_warning_where_tls_is_done_in_process(
    zymkey_pi: Pi, diagnose: Diagnose, tmp_path: Path
) -> None:
    found = diagnose("--only", "openssl-engine", "--only", "curl-engine", OPENSSL_ENGINES=str(tmp_path))
    assert (found.code, found.status("openssl-engine")) == (16, "warning")
    assert "publishes without it" in found.text("openssl-engine")
    assert found.status("curl-engine") == "skipped"

    assert diagnose("--only", "openssl-engine", "--tls", "curl", OPENSSL_ENGINES=str(tmp_path)).code == 3


def test_an_openssl_without_engines_is_told_as_one(zymkey_pi: Pi, diagnose: Diagnose, tmp_path: Path) -> None:
    """OpenSSL 4 has dropped the command `openssl engine` with the engines."""
    openssl = tmp_path / "openssl"
    openssl.write_text('#!/bin/sh\necho "Invalid command \'engine\'; type \\"help\\" for a list." >&2\nexit 1\n')
    openssl.chmod(0o755)
    found = diagnose("--only", "openssl-engine", PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert found.text("openssl-engine").startswith("OpenSSL has no engine zymkey_ssl.")
    assert "OpenSSL 4 has no engines" in found.cure("openssl-engine")


@pytest.mark.parametrize(
    ("version", "broken"),
    [
        ("7.74.0", True),
        ("7.74.0-1.3+deb11u15", True),
        ("7.88.1-10+deb12u14", False),
        ("8.14.1", True),
        ("8.14.1-2", True),
        ("8.14.1-2+deb13u1", True),
        ("8.14.1-2+deb13u4", True),
        ("8.14.1-2+deb13u5", False),
        ("8.14.1-2+deb13u17", False),
        ("8.14.10", False),
        ("8.15.0-1", False),
        ("17.74.0", False),
    ],
)
def test_the_versions_of_curl_that_cannot_use_engines_are_known(version: str, broken: bool) -> None:
    assert (engine_fault(version) is not None) == broken


def test_curls_version_is_debians_where_it_tells_one() -> None:
    banner = "curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1\nRelease-Date: 2023-02-20"
    assert version_in(banner) == "7.88.1"
    assert version_in(banner + ", security patched: 7.88.1-10+deb12u14\n") == "7.88.1-10+deb12u14"
    assert version_in("what?") == "of an unknown version"


def test_an_openssl_that_lets_nobody_else_sign_leaves_curl_which_then_needs_the_engine(
    zymkey_pi: Pi, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sslcontext

    def unsupported(*_: object) -> None:
        raise sslcontext.UnsupportedOpenSSLError("LibreSSL")

    monkeypatch.setattr(sslcontext, "load_identity", unsupported)
    found = diagnose("--only", "tls", "--only", "openssl-engine", OPENSSL_ENGINES=str(tmp_path))
    assert (found.status("tls"), found.checks["tls"]["facts"]["way"]) == ("warning", "curl")
    assert (found.code, found.status("openssl-engine")) == (3, "failed")

    assert diagnose("--only", "tls", "--tls", "signer").status("tls") == "failed"


# This machine


def test_a_clock_that_is_a_little_wrong_is_a_warning(enrolled: Pi, wrong_clock: str) -> None:
    result = enrolled.run("doctor", "--only", "clock", LD_PRELOAD=wrong_clock, WRONG_CLOCK=str(int(time.time()) + 600))

    assert result.returncode == 16
    assert "this machine's clock is 10 minutes fast" in result.stdout or "clock is 9 minutes fast" in result.stdout


def test_offline_a_clock_before_the_certificate_was_issued_is_wrong_all_the_same(
    enrolled: Pi, wrong_clock: str
) -> None:
    result = enrolled.run(
        *("doctor", "--only", "clock", "--only", "certificate"),
        LD_PRELOAD=wrong_clock,
        WRONG_CLOCK="0",
        ENROLLMENT_URL=f"https://localhost:{_closed_port()}",
    )

    failed = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("failed")]
    assert failed == ["enrollment-port", "clock", "certificate"]
    assert "1970-01-01 00:00 UTC, which is before this device's certificate was issued" in result.stdout
    assert "by this clock, which may be wrong" in result.stdout


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3 * 365 * 86400, "3 years slow"),
        (400 * 86400, "400 days slow"),
        (-7200, "2 hours fast"),
        (-119, "119 seconds fast"),
        (0, "0 seconds fast"),
    ],
)
def test_a_difference_of_time_is_told_in_one_unit(seconds: int, words: str) -> None:
    assert in_words(datetime.timedelta(seconds=seconds)) == words


# The cloud


def test_a_configuration_that_the_cloud_has_changed_since(enrolled: Pi, diagnose: Diagnose, est: EstServer) -> None:
    est.configuration["topics"] = {"publish": ["fleet/{device}/*"], "subscribe": ["devices/{device}/*"]}
    found = diagnose("--only", "enrollment")

    assert (found.code, found.status("enrollment")) == (16, "warning")
    assert found.text("enrollment").endswith("configuration.json was written: publish.")
    assert str(enrolled.state / "configuration.json") in found.cure("enrollment")


def test_credentials_that_the_fleet_has_begun_to_give_are_no_fault(
    enrolled: Pi, diagnose: Diagnose, est: EstServer
) -> None:
    est.configuration["credentials"] = {"endpoint": "localhost", "roleAlias": "loopback-device"}
    assert diagnose("--only", "enrollment").status("enrollment") == "ok"


def test_throttling_is_told_from_a_certificate_that_is_refused(
    enrolled: Pi, diagnose: Diagnose, endpoint: DataEndpoint
) -> None:
    endpoint.statuses = [429]
    found = diagnose("--only", "certificate-accepted", "--only", "publish")
    assert (found.code, found.status("certificate-accepted"), found.checks["publish"]["error"]) == (8, "ok", "busy")

    endpoint.refuse = ["reset"]
    found = diagnose("--only", "certificate-accepted", "--only", "publish")
    assert (found.code, found.checks["certificate-accepted"]["error"]) == (9, "certificate-refused")


def test_a_denial_over_https_alone_is_told_as_it_is_when_mqtt_cannot_tell_more(
    enrolled: Pi, diagnose: Diagnose, endpoint: DataEndpoint
) -> None:
    endpoint.allowed = "elsewhere/"
    found = diagnose("--only", "publish", IOT_MQTT_PORT=str(_closed_port()))

    assert (found.code, found.checks["publish"]["error"]) == (10, "topic-denied")
    assert "does not allow this device to publish to devices/pi-7/bootstrap (403)" in found.text("publish")


def test_a_certificate_that_nobody_renews_is_warned_of(pi: Pi, diagnose: Diagnose, est: EstServer) -> None:
    est.valid_since, est.valid_for = datetime.timedelta(days=-95), datetime.timedelta(days=100)
    assert pi.run("bootstrap").returncode == 0
    found = diagnose("--only", "certificate")

    assert (found.code, found.status("certificate")) == (16, "warning")
    assert "its renewal is overdue since" in found.text("certificate")
    assert "list-timers" in found.cure("certificate")


def test_a_certificate_that_waits_for_its_trial_is_told(enrolled: Pi, diagnose: Diagnose) -> None:
    shutil.copy(enrolled.state / "certificate.pem", enrolled.state / "certificate.pem.new")
    found = diagnose("--only", "certificate")

    assert "issued but not tried yet" in found.text("certificate")
    assert found.cure("certificate") == "sudo zymkey-iot bootstrap"


def test_a_certificate_file_that_is_none_is_named(enrolled: Pi, diagnose: Diagnose, est: EstServer) -> None:
    (enrolled.state / "certificate.pem").write_text("not a certificate")
    est.answers = [Answer(503)]
    found = diagnose("--only", "certificate", "--only", "enrollment")

    assert (found.checks["certificate"]["exitCode"], found.checks["enrollment"]["error"]) == (12, "busy")
    assert f"rm {enrolled.state / 'certificate.pem'}" in found.cure("certificate")


def _p256() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, plain)


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
