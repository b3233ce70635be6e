"""An own CA: created to try things out, proved to AWS IoT, checked before it is deployed."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from pki.certificates import ca_certificate, verification_certificate
from pki.names import common_name_only
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


def test_ca_create_needs_a_passphrase(run, tmp_path, monkeypatch):
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


def test_ca_check_refuses_a_certificate_that_is_not_a_ca_s(run, tmp_path):
    (tmp_path / "device.crt").write_bytes(issue(new_key()).public_bytes(Encoding.PEM))
    answer = run("ca", "check", "--ca-cert", tmp_path / "device.crt")
    assert answer.code == 1
    assert "basicConstraints CA:TRUE is missing" in answer.err


@pytest.mark.parametrize("command", [["ca", "verification-csr"], ["verify"]])
@pytest.mark.parametrize("half", [slice(0, 2), slice(2, 4)], ids=["certificate", "key"])
def test_half_a_ca_is_refused_before_anything_is_asked_of_aws(run, ca_files, monkeypatch, command, half):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    answer = run(*command, *ca_files[half])
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "zymkey-fleet: --ca-cert and --ca-key belong together.\nTry: give both, or neither\n"


def test_a_ca_whose_key_is_neither_ec_nor_rsa_signs_nothing(run, tmp_path):
    key = ed25519.Ed25519PrivateKey.generate()
    now = datetime.now(UTC)
    ca = (
        x509.CertificateBuilder()
        .subject_name(common_name_only("Ed25519 CA"))
        .issuer_name(common_name_only("Ed25519 CA"))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, None)
    )
    (tmp_path / "ca.crt").write_bytes(ca.public_bytes(Encoding.PEM))
    (tmp_path / "ca.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    answer = run("ca", "verification-csr", "--ca-cert", tmp_path / "ca.crt", "--ca-key", tmp_path / "ca.key")
    assert (answer.code, answer.out) == (1, "")
    assert "is neither an EC nor an RSA key.\nTry: use a CA with an EC or an RSA key" in answer.err


def test_an_expired_ca_signs_nothing(run, tmp_path):
    ca = ca_certificate(
        signer=CA_KEY,
        common_name="old CA",
        organization="",
        validity_years=1,
        now=datetime.now(UTC) - timedelta(days=800),
    )
    (tmp_path / "ca.crt").write_bytes(ca.public_bytes(Encoding.PEM))
    (tmp_path / "ca.key").write_bytes(CA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    answer = run("ca", "verification-csr", "--ca-cert", tmp_path / "ca.crt", "--ca-key", tmp_path / "ca.key")
    assert (answer.code, answer.out) == (1, "")
    assert "The CA certificate expired at " in answer.err
    assert "Try: use a CA that `zymkey-fleet ca check` accepts" in answer.err


@pytest.fixture
def register(aws, run):
    """A function that registers a CA until the test is over."""
    iot, registered = aws("iot"), []

    def register(ca, key):
        code = iot.get_registration_code()["registrationCode"]
        proof = verification_certificate(signer=key, ca=ca, registration_code=code, now=datetime.now(UTC))
        pem, proof_pem = (each.public_bytes(Encoding.PEM).decode() for each in (ca, proof))
        reply = iot.register_ca_certificate(caCertificate=pem, verificationCertificate=proof_pem, setAsActive=True)
        registered.append(reply["certificateId"])
        return registered[-1]

    yield register
    for identifier in registered:
        iot.update_ca_certificate(certificateId=identifier, newStatus="INACTIVE")
        iot.delete_ca_certificate(certificateId=identifier)


def acme(key, *, years=9, name="Acme CA"):
    return ca_certificate(signer=key, common_name=name, organization="", validity_years=years, now=datetime.now(UTC))


def check(run, ca, tmp_path):
    (tmp_path / "checked.crt").write_bytes(ca.public_bytes(Encoding.PEM))
    return run("ca", "check", "--ca-cert", tmp_path / "checked.crt")


def test_ca_check_says_that_aws_iot_has_the_ca_already_and_what_to_do_about_it(run, register, tmp_path):
    ca = acme(key := new_key())
    assert check(run, ca, tmp_path).code == 0
    identifier = register(ca, key)
    answer = check(run, ca, tmp_path)
    assert (answer.code, answer.out) == (1, "")
    assert f"AWS IoT has the CA 'CN=Acme CA' already: {identifier}, ACTIVE, mode DEFAULT." in answer.err
    assert "`zymkey-fleet adopt`" in answer.err
    assert f"aws iot delete-ca-certificate --certificate-id {identifier}" in answer.err


def test_ca_check_refuses_a_renewed_ca_that_aws_iot_could_not_tell_from_the_old_one(run, register, tmp_path):
    old = register(acme(key := new_key(), years=1), key)
    renewed = acme(key, years=20)
    answer = check(run, renewed, tmp_path)
    assert answer.code == 1
    assert f"another certificate of the CA 'CN=Acme CA', with the same subject and key: {old}, ACTIVE." in answer.err
    assert "CertificateConflictException" in answer.err
    assert "Try: renew the CA under another subject or with another key" in answer.err
    # Where both are registered, that is what matters.
    register(renewed, key)
    assert "with the same subject and key" in check(run, renewed, tmp_path).err
    # Either of the two cures.
    assert check(run, acme(new_key()), tmp_path).code == 0
    assert check(run, acme(key, name="Acme CA 2027"), tmp_path).code == 0


def test_ca_check_counts_the_cas_of_one_subject(run, register, tmp_path):
    for _ in range(9):
        register(acme(key := new_key()), key)
    assert check(run, acme(new_key()), tmp_path).code == 0
    register(acme(key := new_key()), key)
    assert (
        "AWS IoT has 10 CAs with the subject 'CN=Acme CA', and takes no more"
        in check(run, acme(new_key()), tmp_path).err
    )
    assert check(run, acme(new_key(), name="another"), tmp_path).code == 0
