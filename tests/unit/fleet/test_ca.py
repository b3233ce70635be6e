"""The CA of your own: made for trying things out, proved to AWS IoT, checked before it is deployed."""

import stat
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from pki.certificates import verification_certificate
from tests.support.fleet.authority import CA, CA_KEY, issue, new_key


def test_ca_create_makes_a_ca_whose_key_is_encrypted_and_its_owner_s(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "open sesame")
    assert run("ca", "create", tmp_path / "ca", "--common-name", "Acme CA", "--organization", "Acme").code == 0
    certificate = x509.load_pem_x509_certificate((tmp_path / "ca" / "ca.crt").read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=Acme CA,O=Acme"
    key_file = tmp_path / "ca" / "ca.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert key_file.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    key = load_pem_private_key(key_file.read_bytes(), b"open sesame")
    assert key.public_key() == certificate.public_key()
    assert run("ca", "check", "--ca-cert", tmp_path / "ca" / "ca.crt").code == 0


def test_ca_create_never_overwrites_a_ca(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "open sesame")
    run("ca", "create", tmp_path)
    before = (tmp_path / "ca.key").read_bytes()
    answer = run("ca", "create", tmp_path)
    assert answer.code == 1
    assert "There is a CA in" in answer.err
    assert (tmp_path / "ca.key").read_bytes() == before


def test_ca_create_wants_a_passphrase(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "")
    assert "is empty" in run("ca", "create", tmp_path).err
    assert list(tmp_path.iterdir()) == []


def test_verification_csr_names_the_account_s_registration_code(run, aws, operator_environment):
    code = aws("iot").get_registration_code()["registrationCode"]
    request = x509.load_pem_x509_csr(run("ca", "verification-csr").out.encode())
    assert request.subject.rfc4514_string() == f"CN={code}"
    assert request.is_signature_valid


def test_verification_csr_can_be_signed_at_once_and_aws_iot_takes_the_result(run, aws, ca_files, tmp_path):
    out = tmp_path / "verification.crt"
    assert run("ca", "verification-csr", *ca_files, "--out", out).code == 0
    assert run("ca", "check", *ca_files[:2], "--verification-cert", out).code == 0
    iot = aws("iot")
    ca = iot.register_ca_certificate(
        caCertificate=Path(ca_files[1]).read_text(), verificationCertificate=out.read_text(), setAsActive=False
    )
    iot.delete_ca_certificate(certificateId=ca["certificateId"])


def test_ca_check_refuses_a_verification_certificate_for_another_account(run, ca_files, tmp_path):
    other = verification_certificate(signer=CA_KEY, ca=CA, registration_code="another", now=datetime.now(UTC))
    (tmp_path / "verification.crt").write_bytes(other.public_bytes(Encoding.PEM))
    answer = run("ca", "check", *ca_files[:2], "--verification-cert", tmp_path / "verification.crt")
    assert answer.code == 1
    assert "common name is 'another', but the registration code of this account" in answer.err


def test_ca_check_refuses_a_certificate_that_is_no_ca_s(run, tmp_path):
    (tmp_path / "device.crt").write_bytes(issue(new_key()).public_bytes(Encoding.PEM))
    answer = run("ca", "check", "--ca-cert", tmp_path / "device.crt")
    assert answer.code == 1
    assert "basicConstraints CA:TRUE is missing" in answer.err
