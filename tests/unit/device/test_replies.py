"""What the enrollment service may answer besides a certificate, and what the device makes of it."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device.store import StateFolder
from tests.support.device.authority import Authority, certs_only, common_name
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.factory import Factory, factory
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["factory", "zymkey_iot"]

REFUSED, BUSY, UNEXPECTED = 6, 8, 8


def certificates(*keys: ec.EllipticCurvePublicKey) -> Answer:
    """200 with a certificate for each key, as EST sends one."""
    authority = Authority()
    return Answer(200, base64.b64encode(certs_only(*(authority.issue(key, common_name("pi-7")) for key in keys))))


def new_key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (Answer(400, b"The CSR's common name is 'x'."), REFUSED, "common name is 'x'"),
        (Answer(401, b"This token has expired."), REFUSED, "zymkey-fleet invite pi-7"),
        (Answer(404), REFUSED, "EnrollmentUrl"),
        (
            Answer(403, b"It expired: `zymkey-fleet renew NAME`."),
            REFUSED,
            "(403): It expired: `zymkey-fleet renew NAME`.",
        ),
        (Answer(429, b"The key has had ten.", {"Retry-After": "9"}), BUSY, "now (429): The key has had ten.\n"),
        (Answer(429, b'{"message":"Too Many Requests"}'), BUSY, "--give-up-after"),
        (Answer(503, b"AWS takes no more calls.", {"Retry-After": "5"}), BUSY, "AWS takes no more calls"),
        (Answer(500), BUSY, "(500)"),
        (Answer(301, b"", {"Location": "https://elsewhere.invalid/"}), UNEXPECTED, "redirect (301)"),
        (Answer(200, b"<html>a captive portal</html>"), UNEXPECTED, "did not send a certificate"),
        (certificates(new_key()), UNEXPECTED, "another key"),
        (certificates(new_key(), new_key()), UNEXPECTED, "2 certificates"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_each_answer_has_its_exit_code_and_its_reason_and_leaves_no_certificate(
    pi: Pi, est: EstServer, zymkey_iot: Command, answer: Answer, code: int, said: str
) -> None:
    est.answers = [answer]

    done = zymkey_iot("bootstrap", "--give-up-after", "0s", ZYMKEY_IOT_TOKEN="a-token-to-be-seen-nowhere")

    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "a-token-to-be-seen-nowhere" not in done.stdout + done.stderr
    assert not (pi.state / "certificate.pem").exists()


def test_a_busy_service_is_asked_again_when_it_says(est: EstServer, zymkey_iot: Command) -> None:
    est.answers = [Answer(503, b"AWS takes no more calls.", {"Retry-After": "0"})]

    assert zymkey_iot("bootstrap").returncode == 0
    assert len(est.enrollments) == 2


# What else a configuration may be is tried on its reader (test_hostile_configuration).
@pytest.mark.parametrize("wrong", [[], {"topics": {"publish": [7]}}])
def test_a_configuration_that_is_none_is_told_and_the_certificate_waits_for_the_next_run(
    est: EstServer, zymkey_iot: Command, wrong: Any
) -> None:
    right = est.configuration
    est.configuration = right | wrong if wrong else wrong

    done = zymkey_iot("bootstrap")

    assert (done.returncode, "EnrollmentUrl" in done.stderr) == (UNEXPECTED, True), done.stderr
    est.answers = [Answer(200, b"<html>a captive portal</html>")]
    assert zymkey_iot("bootstrap").returncode == UNEXPECTED
    est.answers = [Answer(503, b"", {"Retry-After": "0"})]
    est.configuration = right
    assert zymkey_iot("bootstrap").returncode == 0
    assert len(est.enrollments) == 1


def test_a_configuration_that_was_spoilt_on_the_device_is_fetched_anew(
    pi: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    (pi.state / "configuration.json").write_text("{}")

    assert zymkey_iot("publish", "devices/{device}/t", "1").returncode == 12
    assert zymkey_iot("bootstrap").returncode == 0
    assert zymkey_iot("publish", "devices/{device}/t", "1").returncode == 0
    (pi.state / "configuration.json").unlink()
    done = zymkey_iot("config", "paho")
    assert (done.returncode, "zymkey-iot bootstrap" in done.stderr) == (12, True)


@pytest.mark.parametrize(("status", "code"), [(503, BUSY), (404, UNEXPECTED)])
def test_a_factory_device_needs_the_certificates_of_the_fleets_cas(
    pi: Pi, factory: Factory, est: EstServer, zymkey_iot: Command, status: int, code: int
) -> None:
    factory.certify(pi)
    configuration = Answer(200, json.dumps(est.configuration).encode())
    est.answers = [configuration, Answer(status)]

    done = zymkey_iot("bootstrap", "--give-up-after", "0s")

    assert (done.returncode, f"({status})" in done.stderr) == (code, True), done.stderr
    assert factory.broker.client_ids == []


def test_what_an_interrupted_run_left_behind_is_cleared_when_it_cannot_be_used(
    pi: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    kept = (pi.state / "certificate.pem").read_bytes()
    candidates = [path for path in pi.state.iterdir() if "new" in path.name or "candidate" in path.name]
    assert candidates == []
    StateFolder(pi.state).candidate_path.write_bytes(b"half a certificate")

    done = zymkey_iot("bootstrap")

    assert done.returncode == 0, done.stderr
    assert not StateFolder(pi.state).candidate_path.exists()
    assert (pi.state / "certificate.pem").read_bytes() == kept
    assert len(est.enrollments) == 1


def test_another_name_is_another_device_and_gets_a_certificate_of_its_own(
    pi: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    est.issued.clear()

    assert zymkey_iot("bootstrap", "--name", "pi-8").returncode == 0

    assert len(est.enrollments) == 2
    assert "CN=pi-8" in zymkey_iot("status").stdout


@pytest.mark.parametrize("command", ["bootstrap", "renew"])
def test_without_the_fleets_url_there_is_nobody_to_ask(pi: Pi, zymkey_iot: Command, command: str) -> None:
    del pi.environment["ENROLLMENT_URL"]
    done = zymkey_iot(command)
    assert (done.returncode, "https://" in done.stderr) == (2, True)
