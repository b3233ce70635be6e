"""What single checks of doctor find, beyond the twenty faults of tests/end_to_end."""

import datetime
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.curl_engines import engine_fault, version_in
from device.doctor.checks.clock import in_words
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.diagnosis import Diagnose
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.pi import REPOSITORY, Pi
from tests.support.device.preload import without_rights


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


@pytest.mark.parametrize(
    ("name", "mode", "status", "cure"),
    [
        ("", 0o755, "warning", "chmod 0700"),
        ("", 0o720, "failed", "chmod 0700"),
        ("key.pem", 0o640, "failed", "chmod 0600"),
        ("certificate.pem", 0o664, "failed", "chmod 0644"),
        ("certificate.pem", 0o600, "ok", ""),
        ("device.json", 0o646, "failed", "chmod 0644"),
        ("device.json", 0o644, "ok", ""),
        ("candidate.json", 0o644, "failed", "chmod 0600"),
    ],
)
def test_what_others_may_write_or_read_is_told_by_its_mode(
    enrolled: Pi, diagnose: Diagnose, name: str, mode: int, status: str, cure: str
) -> None:
    path = enrolled.state / name
    path.touch()
    path.chmod(mode)
    found = diagnose("--only", "file-modes")

    assert (found.status("file-modes"), found.code) == (status, {"ok": 0, "warning": 16, "failed": 11}[status])
    if cure:
        assert found.cure("file-modes") == f"sudo {cure} {path}"
        assert f"mode {mode:04o}" in found.text("file-modes")


def test_files_with_a_token_or_a_pin_must_not_be_read_by_others(pi: Pi, diagnose: Diagnose, tmp_path: Path) -> None:
    token, pin = tmp_path / "token", tmp_path / "pin"
    for path in (token, pin):
        path.write_text("a-secret-word")
        path.chmod(0o604)
    found = diagnose(
        "--only", "file-modes", "--key", f"pkcs11:token=t?pin-source=file:{pin}", ZYMKEY_IOT_TOKEN_FILE=str(token)
    )

    assert found.code == 11
    assert f"other users can read {token}" in found.text("file-modes")
    assert f"other users can read {pin}" in found.text("file-modes")


def test_the_settings_with_a_proxys_password_must_not_be_read_by_others(enrolled: Pi, diagnose: Diagnose) -> None:
    path = enrolled.state / "device.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "proxy": "http://user:secret@127.0.0.1:1"}))
    path.chmod(0o644)

    found = diagnose("--only", "file-modes")

    assert (found.code, found.cure("file-modes")) == (11, f"sudo chmod 0600 {path}")


def test_a_software_key_elsewhere_must_not_be_read_by_others(diagnose: Diagnose, tmp_path: Path) -> None:
    key = tmp_path / "the.key"
    key.touch(mode=0o644)
    found = diagnose("--only", "file-modes", "--key", f"file:{key}")
    assert f"other users can read {key}" in found.text("file-modes")
    assert "a-secret-word" not in str(found.document)


def test_a_state_folder_that_cannot_be_made_is_told_before_a_bootstrap_fails(pi: Pi, tmp_path: Path) -> None:
    parent = tmp_path / "not-ours"
    parent.mkdir(mode=0o555)
    result = subprocess.run(
        [sys.executable, "-m", "device", "doctor", "--only", "disk", "--state", str(parent / "state")],
        cwd=REPOSITORY,
        env={**os.environ, **pi.environment},
        preexec_fn=without_rights,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 11
    assert f"does not exist, and this user cannot make it in {parent}." in result.stdout


def test_a_state_folder_that_is_not_there_yet_is_no_fault(pi: Pi, diagnose: Diagnose) -> None:
    assert "bootstrap makes it" in diagnose("--only", "disk").text("disk")
    assert not pi.state.exists()


def test_a_disk_that_is_nearly_full_is_a_warning(
    enrolled: Pi, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(enrolled.state)
    nearly_full = os.statvfs_result((*real[:1], 4096, *real[2:4], 100, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: nearly_full)
    found = diagnose("--only", "disk")

    assert (found.code, found.status("disk")) == (16, "warning")
    assert "400 KiB are free" in found.text("disk")


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


# The network


@contextmanager
def dropped() -> Iterator[int]:
    """A port whose packets are dropped: its queue of connections is full, and nobody takes any."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()


def test_a_firewall_that_drops_packets_is_told_from_one_that_refuses(enrolled: Pi, diagnose: Diagnose) -> None:
    with dropped() as port:
        found = diagnose(
            *("--only", "endpoint-https-port", "--only", "endpoint-mqtt-port", "--timeout", "1"),
            IOT_HTTPS_PORT=str(port),
            IOT_MQTT_PORT=str(_closed_port()),
        )

    assert (found.code, found.checks["endpoint-https-port"]["error"]) == (4, "no-answer")
    assert "drops packets" in found.cure("endpoint-https-port")
    assert found.status("endpoint-mqtt-port") == "warning"
    assert "refuses connections" in found.text("endpoint-mqtt-port")


def test_a_proxy_that_refuses_is_the_ports_fault_and_names_itself(pi: Pi, diagnose: Diagnose) -> None:
    import threading

    def refuse() -> None:
        client, _ = proxy.accept()
        with client:
            client.recv(4096)
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as proxy:
        threading.Thread(target=refuse, daemon=True).start()
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        found = diagnose(
            *("--only", "enrollment-dns", "--only", "enrollment-port"),
            HTTPS_PROXY=f"http://user:secret-word@{address}",
        )

    assert "resolves localhost" in found.text("enrollment-dns")
    assert found.checks["enrollment-port"]["error"] == "proxy-failed"
    assert "407" in found.text("enrollment-port")
    assert "secret-word" not in str(found.document)


def test_a_server_that_nobody_vouches_for_is_named_by_its_issuer(
    enrolled: Pi, diagnose: Diagnose, tmp_path: Path
) -> None:
    """The published recipe gives the device's own CA as --cacert; AWS's servers are not signed by it."""
    own = Authority("the device's own CA").write_pem(tmp_path / "own.pem")
    found = diagnose("--ca-file", str(own))

    assert found.code == 5
    for check in ("enrollment-server", "endpoint-server"):
        assert "It was issued by loopback CA" in found.text(check)
        assert f"only the roots in {own} are trusted" in found.text(check)
    assert found.checks["publish"]["needs"] == "endpoint-server"


def test_the_name_of_an_issuer_cannot_command_the_terminal(pi: Pi, diagnose: Diagnose, tmp_path: Path) -> None:
    stranger = Authority("\033[2Jgateway")
    with EstServer(stranger, stranger.write_server(tmp_path, "localhost")) as server:
        found = diagnose("--only", "enrollment-server", ENROLLMENT_URL=server.url)

    assert r"It was issued by \x1b[2Jgateway" in found.text("enrollment-server")


def test_a_data_endpoint_that_insists_on_a_certificate_under_tls_1_2_has_proved_its_own(
    enrolled: Pi, diagnose: Diagnose, endpoint: DataEndpoint
) -> None:
    endpoint.context.maximum_version = ssl.TLSVersion.TLSv1_2
    found = diagnose("--only", "endpoint-server", "--only", "publish")

    assert found.status("endpoint-server") == found.status("publish") == "ok"
    assert "asks for the device's certificate" in found.text("endpoint-server")


def test_a_device_does_not_need_the_enrollment_service_to_publish(enrolled: Pi, diagnose: Diagnose) -> None:
    found = diagnose(ENROLLMENT_URL=f"https://localhost:{_closed_port()}")

    assert (found.code, found.status("enrollment-port")) == (4, "failed")
    assert found.status("clock") == "skipped"
    assert found.status("publish") == "ok"


# The cloud


def test_an_url_without_an_enrollment_service(pi: Pi, diagnose: Diagnose) -> None:
    found = diagnose("--only", "enrollment", ENROLLMENT_URL=pi.environment["ENROLLMENT_URL"] + "/elsewhere")

    assert (found.code, found.status("enrollment")) == (8, "failed")
    assert "EnrollmentUrl" in found.cure("enrollment")


def test_a_configuration_that_the_cloud_has_changed_since(enrolled: Pi, diagnose: Diagnose, est: EstServer) -> None:
    est.configuration["topics"] = {"publish": ["fleet/{device}/*"], "subscribe": ["devices/{device}/*"]}
    found = diagnose("--only", "enrollment")

    assert (found.code, found.status("enrollment")) == (16, "warning")
    assert found.text("enrollment").endswith("configuration.json was written: publish.")
    assert str(enrolled.state / "configuration.json") in found.cure("enrollment")


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
