"""A whole bootstrap, as a process of its own, against a cloud on loopback."""

import json
import shutil
from datetime import timedelta

import pytest
from cryptography import x509

from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.authority import common_name
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.pi import Pi

TOKEN = "Wm9k-secret-one-time-token"


def test_the_first_bootstrap_costs_the_hsm_two_signatures(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, endpoint: DataEndpoint
) -> None:
    result = zymkey_pi.run("bootstrap", "--json", ZYMKEY_IOT_TOKEN=TOKEN)

    assert result.returncode == 0, result.stderr
    assert zymkey.signatures() == 2
    assert json.loads(result.stdout)["signatures"] == 2
    assert endpoint.handshakes == 1


def test_a_second_bootstrap_asks_for_nothing_costs_one_signature_and_changes_no_file(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, est: EstServer
) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0
    before, asked = zymkey_pi.files(), len(est.asked)
    zymkey.reset()

    result = zymkey_pi.run("bootstrap")

    assert result.returncode == 0, result.stderr
    assert len(est.asked) == asked
    assert zymkey.signatures() == 1
    assert zymkey_pi.files() == before


def test_the_message_arrives_with_the_certificate_that_is_kept(pi: Pi, endpoint: DataEndpoint) -> None:
    assert pi.run("bootstrap").returncode == 0

    kept = x509.load_pem_x509_certificate((pi.state / "certificate.pem").read_bytes())
    (message,) = endpoint.published
    assert message.topic == "devices/pi-7/bootstrap"
    assert json.loads(message.payload)["device"] == "pi-7"
    assert x509.load_der_x509_certificate(message.certificate) == kept


def test_deleted_files_come_back_byte_identical(zymkey_pi: Pi) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0
    certificate = (zymkey_pi.state / "certificate.pem").read_bytes()
    shutil.rmtree(zymkey_pi.state)

    assert zymkey_pi.run("bootstrap").returncode == 0

    assert (zymkey_pi.state / "certificate.pem").read_bytes() == certificate


def test_files_and_folder_have_their_modes(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0

    assert pi.state.stat().st_mode & 0o777 == 0o700
    assert {name: mode for name, (_, mode, _) in pi.files().items()} == {
        "asked": 0o644,
        "certificate.pem": 0o644,
        "confirmed": 0o644,
        "configuration.json": 0o644,
        "device.json": 0o644,
        "key.pem": 0o600,
        "lock": 0o600,
    }


def test_the_token_travels_as_basic_credentials_and_is_neither_shown_nor_kept(pi: Pi, est: EstServer) -> None:
    result = pi.run("bootstrap", ZYMKEY_IOT_TOKEN=TOKEN)

    assert result.returncode == 0, result.stderr
    assert est.enrollments[0].credentials == f"pi-7:{TOKEN}"
    assert TOKEN not in result.stdout + result.stderr
    assert not any(TOKEN.encode() in content for content, _, _ in pi.files().values())


def test_without_a_token_no_credentials_are_sent(pi: Pi, est: EstServer) -> None:
    assert pi.run("bootstrap").returncode == 0

    assert est.enrollments[0].credentials is None


def test_a_software_key_is_said_loudly_every_time(pi: Pi) -> None:
    for _ in range(2):
        assert "SOFTWARE key" in pi.run("bootstrap").stdout
    assert "SOFTWARE key" in json.loads(pi.run("bootstrap", "--json").stdout)["warnings"][0]


def test_each_step_is_one_line_and_nothing_is_coloured_in_a_pipe(pi: Pi) -> None:
    lines = pi.run("bootstrap").stdout.splitlines()

    steps = [line.split()[0] for line in lines if line.endswith(" s)")]
    assert steps == ["key", "request", "enroll", "configure", "publish", "keep"]
    assert lines[-2].startswith("pi-7 is on AWS IoT, until ")
    assert lines[-1].startswith("It is not known whether anything renews this certificate"), "no systemd in tests"
    assert not any("\033" in line for line in lines)


def test_later_commands_need_no_arguments(pi: Pi, endpoint: DataEndpoint, est: EstServer) -> None:
    assert pi.run("bootstrap").returncode == 0
    for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_KEY"):
        del pi.environment[known]

    assert pi.run("publish", "devices/{device}/t", "21.5").returncode == 0
    assert pi.run("bootstrap").returncode == 0

    assert [message.topic for message in endpoint.published] == [
        "devices/pi-7/bootstrap",
        "devices/pi-7/t",
        "devices/pi-7/bootstrap",
    ]
    assert len(est.enrollments) == 1


def test_a_certificate_without_our_name_uses_its_id_in_https_topics(
    pi: Pi, est: EstServer, endpoint: DataEndpoint
) -> None:
    est.subject = common_name("AWS IoT Certificate")

    result = pi.run("bootstrap", "--json")

    assert result.returncode == 0, result.stderr
    assert endpoint.published[0].topic == f"devices/{json.loads(result.stdout)['certificateId']}/bootstrap"


def test_a_due_certificate_is_renewed_for_the_same_key(pi: Pi, est: EstServer) -> None:
    est.valid_since, est.valid_for = timedelta(days=-70), timedelta(days=100)
    assert pi.run("bootstrap").returncode == 0
    old = (pi.state / "certificate.pem").read_bytes()
    est.issued.clear()
    est.valid_since = timedelta(0)

    assert pi.run("bootstrap").returncode == 0

    new = (pi.state / "certificate.pem").read_bytes()
    assert new != old
    assert x509.load_pem_x509_certificate(new).public_key() == x509.load_pem_x509_certificate(old).public_key()


def test_a_candidate_of_an_interrupted_run_is_tried_and_kept_without_asking_again(pi: Pi, est: EstServer) -> None:
    assert pi.run("bootstrap").returncode == 0
    certificate = pi.state / "certificate.pem"
    certificate.rename(pi.state / "certificate.pem.new")

    assert pi.run("bootstrap").returncode == 0

    assert certificate.exists()
    assert not (pi.state / "certificate.pem.new").exists()
    assert len(est.enrollments) == 1


def test_a_certificate_that_fails_its_trial_does_not_replace_the_old_one(
    pi: Pi, est: EstServer, endpoint: DataEndpoint
) -> None:
    est.valid_since, est.valid_for = timedelta(days=-70), timedelta(days=100)
    assert pi.run("bootstrap").returncode == 0
    old = (pi.state / "certificate.pem").read_bytes()
    est.issued.clear()
    endpoint.statuses = [400]

    result = pi.run("bootstrap")

    assert result.returncode == 8
    assert (pi.state / "certificate.pem").read_bytes() == old
    assert (pi.state / "candidate.json").exists()


def test_a_fresh_certificate_is_given_time_to_take_effect(pi: Pi, endpoint: DataEndpoint) -> None:
    endpoint.refuse = ["end"]
    endpoint.statuses = [403]

    result = pi.run("bootstrap")

    assert result.returncode == 0, result.stderr
    assert result.stdout.count("not in effect yet") == 2
    assert len(endpoint.published) == 1


def test_pending_waits_as_long_as_the_server_says(pi: Pi, est: EstServer) -> None:
    est.answers = [Answer(202, b"waiting for the operator", {"Retry-After": "1"})]

    result = pi.run("bootstrap")

    assert result.returncode == 0, result.stderr
    assert "waiting for the operator" in result.stdout
    assert len(est.enrollments) == 2


def test_pending_for_longer_than_allowed_ends_at_once_and_says_who_has_to_act(pi: Pi, est: EstServer) -> None:
    est.answers = [Answer(202, b"waiting for the operator", {"Retry-After": "3600"})]

    result = pi.run("bootstrap", "--give-up-after", "1m")

    assert result.returncode == 7
    assert "ask the operator to approve this device (zymkey-fleet pending); its key is SHA256:" in result.stderr


@pytest.mark.parametrize(
    ("status", "exit_code", "cure"),
    [
        (400, 6, ""),
        (401, 6, "zymkey-fleet invite pi-7"),
        (403, 6, "zymkey-fleet list"),
        (404, 6, "EnrollmentUrl"),
    ],
)
def test_a_refusal_has_an_exit_code_the_servers_sentence_and_a_cure(
    pi: Pi, est: EstServer, status: int, exit_code: int, cure: str
) -> None:
    est.answers = [Answer(status, b"The reason in one sentence.", {"WWW-Authenticate": 'Basic realm="f"'})]

    result = pi.run("bootstrap")

    assert result.returncode == exit_code
    assert status == 404 or "The reason in one sentence" in result.stderr
    assert cure in result.stderr
    assert len(est.enrollments) == 1


def test_errors_are_json_too(pi: Pi, est: EstServer) -> None:
    est.answers = [Answer(403, b"blocked")]

    error = json.loads(pi.run("bootstrap", "--json").stdout)

    assert (error["ok"], error["error"], error["exitCode"]) == (False, "enrollment-refused", 6)


def test_a_second_one_at_the_same_time_is_turned_away(pi: Pi) -> None:
    import fcntl

    pi.state.mkdir()
    with (pi.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = pi.run("bootstrap")

    assert result.returncode == 14
    assert "another zymkey-iot is running" in result.stderr
