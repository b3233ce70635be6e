"""A certificate's life after the first day: when it is renewed, what survives, who is told."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.certificate import DeviceCertificate
from device.keys.file import FileKey
from device.renew import renewal_time
from tests.support.device.authority import Authority, common_name
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.pi import Pi


@pytest.fixture
def due_pi(pi: Pi, est: EstServer, tmp_path: Path) -> Pi:
    """A device at nine tenths of its certificate's life; the cloud will issue a fresh one."""
    pi.environment["ZYMKEY_IOT_ON_RENEW"] = str(tmp_path / "on-renew.d")
    (tmp_path / "on-renew.d").mkdir()
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert pi.run("bootstrap").returncode == 0
    est.issued.clear()
    est.valid_since = timedelta(0)
    return pi


def hook(pi: Pi, name: str, script: str, mode: int = 0o755) -> Path:
    path = Path(pi.environment["ZYMKEY_IOT_ON_RENEW"]) / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(mode)
    return path


def test_a_fresh_certificate_is_not_due_and_nobody_is_asked(pi: Pi, est: EstServer) -> None:
    assert pi.run("bootstrap").returncode == 0
    before, asked = pi.files(), len(est.asked)

    result = pi.run("renew", "--if-due")

    assert result.returncode == 13
    assert "Not due before" in result.stdout
    assert pi.files() == before
    assert len(est.asked) == asked


def test_asked_early_the_cloud_decides_and_may_answer_the_same(pi: Pi, est: EstServer) -> None:
    assert pi.run("bootstrap").returncode == 0
    before = pi.files()

    result = pi.run("renew", "--json")

    assert result.returncode == 13
    assert json.loads(result.stdout)["renewed"] is False
    assert est.enrollments[-1].path.endswith("/simplereenroll")
    assert pi.files() == before


def test_a_renewal_that_is_refused_leaves_the_old_certificate_in_use(due_pi: Pi, est: EstServer) -> None:
    before = due_pi.files()
    est.answers = [Answer(403, b"blocked")]

    assert due_pi.run("renew").returncode == 6
    assert due_pi.files() == before


def test_a_renewal_that_has_to_be_signed_first_leaves_the_old_certificate_in_use(due_pi: Pi, est: EstServer) -> None:
    before = due_pi.files()
    est.answers = [Answer(202, b"The CSR waits for a signature by the fleet's CA.", {"Retry-After": "3600"})]

    result = due_pi.run("renew", "--if-due")

    assert result.returncode == 7
    assert "waits for a signature by the fleet's CA. The old certificate stays in use" in result.stderr
    assert "zymkey-fleet pending" in result.stderr
    assert due_pi.files() == before
    assert due_pi.run("renew", "--if-due").returncode == 0


def test_a_new_certificate_that_fails_its_trial_is_tried_again_and_not_asked_for_again(
    due_pi: Pi, est: EstServer, endpoint: DataEndpoint
) -> None:
    old = (due_pi.state / "certificate.pem").read_bytes()
    endpoint.statuses = [400]
    assert due_pi.run("renew").returncode == 8
    assert (due_pi.state / "certificate.pem").read_bytes() == old
    assert json.loads(due_pi.run("status", "--json").stdout)["untriedCertificate"] is True
    asked = len(est.enrollments)

    assert due_pi.run("renew", "--if-due").returncode == 0

    assert (due_pi.state / "certificate.pem").read_bytes() != old
    assert len(est.enrollments) == asked


def test_hooks_run_in_order_with_the_paths_in_their_environment(due_pi: Pi, tmp_path: Path) -> None:
    log = tmp_path / "log"
    hook(due_pi, "20-second", f"echo second >> {log}")
    hook(due_pi, "10-first", f'echo "$ZYMKEY_IOT_NAME $(cat "$ZYMKEY_IOT_CERTIFICATE" | head -1)" >> {log}')
    hook(due_pi, "30-not-executable", f"echo third >> {log}", mode=0o644)

    result = due_pi.run("renew", ZYMKEY_IOT_TOKEN="spent")

    assert result.returncode == 0, result.stderr
    assert log.read_text().splitlines() == ["pi-7 -----BEGIN CERTIFICATE-----", "second"]


def test_a_hook_that_fails_is_said_and_run_again_next_time(due_pi: Pi, tmp_path: Path) -> None:
    path = hook(due_pi, "10-restart", "echo service is gone >&2; exit 4")

    result = due_pi.run("renew")

    assert result.returncode == 15
    assert f"the hook {path} ended with 4 (service is gone)" in result.stderr
    new = (due_pi.state / "certificate.pem").read_bytes()
    hook(due_pi, "10-restart", f"touch {tmp_path / 'told'}")

    assert due_pi.run("renew", "--if-due").returncode == 13

    assert (tmp_path / "told").exists()
    assert (due_pi.state / "certificate.pem").read_bytes() == new
    (tmp_path / "told").unlink()
    assert due_pi.run("renew", "--if-due").returncode == 13
    assert not (tmp_path / "told").exists()


def test_another_key_is_noticed_and_nothing_is_asked_for(due_pi: Pi, est: EstServer) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (due_pi.state / "key.pem").write_bytes(other)
    asked = len(est.asked)

    result = due_pi.run("renew")

    assert result.returncode == 12
    assert "HSM was swapped" in result.stderr
    assert json.loads(due_pi.run("status", "--json").stdout)["state"] == "other key"
    assert len(est.asked) == asked


def test_before_the_first_bootstrap_there_is_nothing_to_renew(pi: Pi) -> None:
    result = pi.run("renew")

    assert result.returncode == 12
    assert "zymkey-iot bootstrap" in result.stderr


def test_renewal_times_spread_over_a_quarter_of_what_is_left_and_stay_put(authority: Authority, tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    lots = []
    for _ in range(100):
        private_key = ec.generate_private_key(ec.SECP256R1())
        issued = authority.issue(
            private_key.public_key(), common_name("pi-7"), since=now, until=now + timedelta(days=360)
        )
        certificate, key = DeviceCertificate(issued), FileKey(tmp_path, private_key)
        assert certificate.due_at == now + timedelta(days=240)
        assert renewal_time(certificate, key) == renewal_time(certificate, key)
        lots.append((renewal_time(certificate, key) - certificate.due_at) / timedelta(days=1))
    assert 0 <= min(lots) < 5
    assert 25 < max(lots) <= 30


def test_wait_goes_on_where_a_pending_bootstrap_ended(pi: Pi, est: EstServer) -> None:
    est.answers = [Answer(202, b"", {"Retry-After": "3600"})]
    assert pi.run("bootstrap").returncode == 7
    for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME"):
        del pi.environment[known]
    est.answers = [Answer(202, b"", {"Retry-After": "0"})]

    result = pi.run("wait")

    assert result.returncode == 0, result.stderr
    assert "pi-7 is on AWS IoT" in result.stdout


def test_status_tells_an_expired_certificate(pi: Pi, est: EstServer, wrong_clock: str) -> None:
    assert pi.run("bootstrap").returncode == 0
    expired = datetime.now(UTC) + est.valid_since + est.valid_for + timedelta(seconds=1)

    result = pi.run("status", LD_PRELOAD=wrong_clock, WRONG_CLOCK=f"{expired.timestamp():.0f}")

    assert result.returncode == 12
    assert "expired" in result.stdout
    assert "zymkey-iot bootstrap" in result.stdout


def test_status_of_a_device_without_anything(pi: Pi) -> None:
    result = pi.run("status", "--json")

    assert result.returncode == 12
    assert json.loads(result.stdout)["state"] == "absent"


def test_a_mode_that_a_user_gave_to_a_hook_folder_is_left_alone(due_pi: Pi) -> None:
    folder = Path(due_pi.environment["ZYMKEY_IOT_ON_RENEW"])
    folder.chmod(0o750)

    assert due_pi.run("renew").returncode == 0

    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
