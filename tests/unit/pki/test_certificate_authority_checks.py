"""Every reason for which AWS IoT would refuse a CA, found before it is asked."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pki.certificate_authority_checks import (
    check_certificate_authority,
    check_verification_certificate,
    read_ca_certificate,
)
from pki.certificates import ca_certificate, verification_certificate
from pki.issued_certificate_checks import CertificateError
from tests.support import der

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
CA = ca_certificate(signer=KEY, common_name="workshop CA", organization="", validity_years=10, now=NOW)
CODE = "0123abcd" * 8


def verification(**changes: object) -> x509.Certificate:
    values: dict[str, object] = {"signer": KEY, "ca": CA, "registration_code": CODE, "now": NOW}
    return verification_certificate(**values | changes)  # type: ignore[arg-type]


def ca_with(key: object, *extensions: x509.ExtensionType, digest: object = None) -> x509.Certificate:
    """A CA certificate as another tool might make it: with these extensions and no others."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "workshop CA")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())  # type: ignore[attr-defined]
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, digest)  # type: ignore[arg-type]


IS_CA = x509.BasicConstraints(ca=True, path_length=None)


def refusal(certificate: x509.Certificate) -> str:
    with pytest.raises(CertificateError) as refused:
        check_certificate_authority(certificate, now=NOW)
    return str(refused.value)


def test_a_ca_of_our_own_profile_passes() -> None:
    check_certificate_authority(CA, now=NOW)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-384", "P-521", "RSA-2048"],
)
def test_every_kind_of_key_that_aws_iot_takes_passes(key: object) -> None:
    check_certificate_authority(ca_with(key, IS_CA, digest=hashes.SHA384()), now=NOW)


def test_a_certificate_without_ca_true_is_refused() -> None:
    assert "basicConstraints CA:TRUE is missing" in refusal(ca_with(KEY, digest=hashes.SHA256()))
    assert "basicConstraints CA:TRUE is missing" in refusal(verification())


def test_a_ca_that_may_not_sign_certificates_is_refused() -> None:
    usage = x509.KeyUsage(True, *[False] * 8)
    assert "lacks keyCertSign" in refusal(ca_with(KEY, IS_CA, usage, digest=hashes.SHA256()))


def test_an_expired_ca_and_one_of_the_future_are_refused_with_the_date() -> None:
    old = ca_certificate(signer=KEY, common_name="x", organization="", validity_years=1, now=NOW - timedelta(days=366))
    assert refusal(old) == "The CA certificate expired at 2026-11-23 18:00 UTC."
    new = ca_certificate(signer=KEY, common_name="x", organization="", validity_years=1, now=NOW + timedelta(days=1))
    assert refusal(new) == "The CA certificate is not valid before 2026-11-25 11:55 UTC."


@pytest.mark.parametrize(
    ("key", "digest", "named"),
    [
        (rsa.generate_private_key(65537, 1024), hashes.SHA256(), "RSA-1024"),  # noqa: S505
        (ec.generate_private_key(ec.SECP224R1()), hashes.SHA256(), "secp224r1"),
        (ed25519.Ed25519PrivateKey.generate(), None, "Ed25519"),
    ],
    ids=["RSA-1024", "P-224", "ed25519"],
)
def test_a_key_that_aws_iot_does_not_take_is_refused_by_name(key: object, digest: object, named: str) -> None:
    said = refusal(ca_with(key, IS_CA, digest=digest))
    assert f"key is {named}; AWS IoT takes P-256, P-384, P-521, or RSA" in said


@pytest.mark.parametrize("digest", ["md5", "sha1"])
def test_a_ca_signed_with_a_broken_hash_is_refused(digest: str, tmp_path: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=old CA", f"-{digest}"]
    pem = subprocess.run([*command, "-keyout", tmp_path / "key"], capture_output=True, check=True).stdout
    with pytest.raises(CertificateError, match=f"signed with {digest.upper()}, which AWS IoT does not take"):
        check_certificate_authority(read_ca_certificate(pem), now=datetime.now(UTC))


def test_a_verification_certificate_of_this_ca_passes() -> None:
    check_verification_certificate(verification(), ca=CA, now=NOW)
    check_verification_certificate(verification(), ca=CA, now=NOW, registration_code=CODE)


def refused_verification(certificate: x509.Certificate, **more: str) -> str:
    with pytest.raises(CertificateError) as refused:
        check_verification_certificate(certificate, ca=CA, now=NOW, **more)
    return str(refused.value)


def test_a_verification_certificate_of_another_ca_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    other = ca_certificate(signer=key, common_name="other CA", organization="", validity_years=10, now=NOW)
    said = refused_verification(verification(signer=key, ca=other))
    assert "names the issuer 'CN=other CA' and is not signed by the CA 'CN=workshop CA'" in said
    # The same name, another key: only the signature tells.
    assert "is not signed by the CA" in refused_verification(verification(signer=key))


def test_a_verification_certificate_for_another_account_is_refused() -> None:
    said = refused_verification(verification(registration_code="another"), registration_code=CODE)
    assert "common name is 'another', but the registration code of this account and Region is" in said


def test_an_expired_verification_certificate_is_refused() -> None:
    said = refused_verification(verification(now=NOW - timedelta(days=2)))
    assert said == "The verification certificate expired at 2026-11-23 12:00 UTC."


def test_the_certificate_is_found_between_the_text_that_openssl_writes() -> None:
    pem = b"Certificate:\n    Data: ...\n" + CA.public_bytes(Encoding.PEM)
    for content in (pem, pem.replace(b"\n", b"\r\n"), pem.decode().encode("utf-16"), CA.public_bytes(Encoding.DER)):
        assert read_ca_certificate(content) == CA


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (b"", "is not PEM, or its DER is damaged"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is not PEM, or its DER is damaged"),
        (CA.public_bytes(Encoding.DER)[:-1], "is not PEM, or its DER is damaged"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "holds a public key, and no certificate"),
        (CA.public_bytes(Encoding.PEM) * 2, "holds 2 certificates; it must hold one"),
    ],
    ids=["empty", "damaged", "damaged DER", "another kind", "two"],
)
def test_a_file_that_is_not_one_certificate_is_refused(pem: bytes, said: str) -> None:
    with pytest.raises(CertificateError, match=said):
        read_ca_certificate(pem)


@pytest.mark.parametrize(
    "odd",
    [
        {"issuer": der.name(("O", der.TELETEX, b"M\xfcller"), ("CN", der.UTF8, b"x"))},
        {"validity": der.tlv(0x30, *[der.tlv(0x18, b"00000101000000Z")] * 2)},
    ],
    ids=["an issuer in Latin-1", "the year 0"],
)
def test_what_the_library_reads_late_is_read_at_once(odd: dict[str, bytes]) -> None:
    with pytest.raises(CertificateError, match="damaged"):
        read_ca_certificate(der.changed(CA, KEY, **odd))
