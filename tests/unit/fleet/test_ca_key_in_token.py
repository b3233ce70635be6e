"""A CA key in a PKCS#11 token."""

import os
import subprocess
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pki.certificates import ca_certificate
from tests.support import programs
from tests.support.fleet.authority import new_key

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A SoftHSM token with an EC and an RSA key, by label; its PIN is 1234."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(folder / "softhsm2.conf")}

    def softhsm(*words):
        subprocess.run(["softhsm2-util", *words], env=environment, check=True, capture_output=True)

    softhsm("--init-token", "--free", "--label", "fleet", "--pin", "1234", "--so-pin", "5678")
    keys = {"ec": ec.generate_private_key(ec.SECP256R1()), "rsa": rsa.generate_private_key(65537, 2048)}
    for number, (label, key) in enumerate(keys.items(), 1):
        file = folder / f"{label}.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        softhsm("--import", str(file), "--token", "fleet", "--label", label, "--id", f"0{number}", "--pin", "1234")
    return {"environment": environment, "keys": keys, "folder": folder}


def run_with_token(token, tmp_path, uri, *, label, pin="1234"):
    """In a process of its own, as an operator does it: a PKCS#11 module is initialized once a process."""
    key = token["keys"][label]
    ca = ca_certificate(signer=key, common_name=label, organization="", validity_years=1, now=datetime.now(UTC))
    (tmp_path / "ca.crt").write_bytes(ca.public_bytes(Encoding.PEM))
    environment = {name: value for name, value in token["environment"].items() if name != "ZYMKEY_FLEET_PIN"}
    if pin is not None:
        environment["ZYMKEY_FLEET_PIN"] = pin
    answer = programs.run(
        "zymkey-fleet",
        ["ca", "verification-csr", "--ca-cert", tmp_path / "ca.crt", "--ca-key", uri],
        env={**environment, **{name: value for name, value in os.environ.items() if name.startswith("AWS_")}},
    )
    return ca, answer


@pytest.mark.parametrize("label", ["ec", "rsa"])
@pytest.mark.parametrize("key_by", ["object={label}", "id=%0{number}"])
def test_a_ca_key_in_a_token_signs(token, operator_environment, tmp_path, label, key_by):
    number = list(token["keys"]).index(label) + 1
    uri = f"pkcs11:token=fleet;{key_by.format(label=label, number=number)};type=private?module-path={SOFTHSM}"
    ca, answer = run_with_token(token, tmp_path, uri, label=label)
    assert answer.stderr == ""
    x509.load_pem_x509_certificate(answer.stdout.encode()).verify_directly_issued_by(ca)


def test_the_pin_can_come_from_a_file(token, operator_environment, tmp_path):
    (tmp_path / "pin").write_text("1234\n")
    uri = f"pkcs11:token=fleet;object=ec?module-path={SOFTHSM}&pin-source=file:{tmp_path / 'pin'}"
    ca, answer = run_with_token(token, tmp_path, uri, label="ec", pin=None)
    assert answer.returncode == 0
    x509.load_pem_x509_certificate(answer.stdout.encode()).verify_directly_issued_by(ca)


@pytest.mark.parametrize(
    ("uri", "pin", "reason"),
    [
        (f"pkcs11:token=fleet;object=ec?module-path={SOFTHSM}", "9999", "the PIN is wrong"),
        (f"pkcs11:token=none;object=ec?module-path={SOFTHSM}", "1234", "the module has no such token"),
        (f"pkcs11:token=fleet;object=none?module-path={SOFTHSM}", "1234", "the token holds no such private key"),
        ("pkcs11:token=fleet;object=ec?module-path=/no/such.so", "1234", "cannot be opened"),
        ("pkcs11:token=fleet;object=ec", "1234", "names no module"),
        (f"pkcs11:token=fleet?module-path={SOFTHSM}", "1234", "names no key"),
        (f"pkcs11:token=fleet;object=ec?module-path={SOFTHSM}&pin-value=1234", "1234", "can be read by everybody"),
        (f"pkcs11:token=fleet;colour=red;object=ec?module-path={SOFTHSM}", "1234", "'colour', which is not known"),
        (f"pkcs11:token=fleet;object=ec;type=cert?module-path={SOFTHSM}", "1234", "a private key is needed"),
        (f"pkcs11:token=fleet;object=ec?module-path={SOFTHSM}", None, "Try: set $ZYMKEY_FLEET_PIN"),
    ],
)
def test_a_token_that_cannot_be_used_is_refused_with_the_reason(
    token, operator_environment, tmp_path, uri, pin, reason
):
    _, answer = run_with_token(token, tmp_path, uri, label="ec", pin=pin)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert reason in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "1234" not in answer.stderr.replace("pin-value=1234", "")


def test_a_key_in_a_token_that_is_not_the_ca_s_is_not_used(token, operator_environment, tmp_path):
    uri = f"pkcs11:token=fleet;object=ec?module-path={SOFTHSM}"
    token_of_another = {**token, "keys": {**token["keys"], "ec": new_key()}}
    _, answer = run_with_token(token_of_another, tmp_path, uri, label="ec")
    assert answer.returncode == 1
    assert "does not belong to the certificate" in answer.stderr
