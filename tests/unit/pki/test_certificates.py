"""The certificates that are signed here pass OpenSSL's own verification, and say no more than they should."""

import subprocess
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.certificates import CLOCK_SKEW, ca_certificate, device_certificate, verification_certificate

NOW = datetime.now(UTC).replace(microsecond=0)
CA_KEY = ec.generate_private_key(ec.SECP256R1())
DEVICE_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()


@cache
def ca() -> x509.Certificate:
    """Made by the first test that asks, not at import: mutation testing changes code after the tests are imported."""
    return ca_certificate(signer=CA_KEY, common_name="fleet CA", organization="Example", validity_years=20, now=NOW)


def device(**changes) -> x509.Certificate:
    arguments = {
        "signer": CA_KEY,
        "ca": ca(),
        "key": DEVICE_KEY,
        "device": "pi-1",
        "subject": {"O": "Example", "C": "DE"},
        "validity_days": 365,
        "now": NOW,
    }
    return device_certificate(**{**arguments, **changes})


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def test_openssl_accepts_a_device_as_a_tls_client_of_the_ca_and_as_nothing_else(tmp_path):
    ca_file, leaf = tmp_path / "ca.pem", tmp_path / "leaf.pem"
    ca_file.write_bytes(ca().public_bytes(Encoding.PEM))
    leaf.write_bytes(device().public_bytes(Encoding.PEM))

    def verify(purpose: str) -> int:
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", ca_file, leaf]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert verify("sslclient") == 0
    assert verify("sslserver") != 0


def test_a_device_is_named_by_its_common_name_with_the_settings_in_the_usual_order():
    assert device().subject.rfc4514_string() == "CN=pi-1,O=Example,C=DE"


def usages(certificate):
    value = extension(certificate, x509.KeyUsage).value
    # The two that are left, encipher_only and decipher_only, mean something only with key agreement.
    assert not value.key_agreement
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_cert_sign")
    return {name for name in (*names, "crl_sign") if getattr(value, name)}


def criticals(certificate):
    return {each.oid._name for each in certificate.extensions if each.critical}


def test_a_device_may_sign_for_itself_as_a_client_and_for_nobody_else():
    certificate = device()
    constraints = extension(certificate, x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (False, None)
    assert usages(certificate) == {"digital_signature"}
    assert list(extension(certificate, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert criticals(certificate) == {"basicConstraints", "keyUsage"}
    assert len(certificate.extensions) == 5


def test_the_key_identifiers_chain():
    subject = extension(ca(), x509.SubjectKeyIdentifier).value
    assert extension(device(), x509.AuthorityKeyIdentifier).value.key_identifier == subject.digest
    assert extension(ca(), x509.AuthorityKeyIdentifier).value.key_identifier == subject.digest


def test_a_slow_clock_still_finds_the_certificate_valid():
    assert device(now=NOW + timedelta(days=1)).not_valid_before_utc == NOW + timedelta(days=1) - CLOCK_SKEW


def test_a_device_never_outlives_its_ca_nor_is_older():
    late = ca().not_valid_after_utc - timedelta(days=10)
    assert device(now=late).not_valid_after_utc == ca().not_valid_after_utc
    assert device().not_valid_before_utc >= ca().not_valid_before_utc


def test_serials_are_positive_random_and_long_enough():
    serials = [device().serial_number for _ in range(50)]
    assert len(set(serials)) == 50
    assert all(0 < serial < 2**159 for serial in serials)
    # Of 50 numbers with 159 random bits, one in 2^45 runs has all of them under 64 bits; a counter always would.
    assert max(serials).bit_length() > 64


def test_the_ca_may_sign_devices_but_no_other_ca():
    constraints = extension(ca(), x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert usages(ca()) == {"key_cert_sign", "crl_sign"}
    assert criticals(ca()) == {"basicConstraints", "keyUsage"}
    assert ca().subject.rfc4514_string() == ca().issuer.rfc4514_string() == "CN=fleet CA,O=Example"


@pytest.mark.parametrize("years", [1, 20])
def test_the_ca_is_valid_for_the_years_of_the_settings(years):
    made = ca_certificate(signer=CA_KEY, common_name="CA", organization="", validity_years=years, now=NOW)
    assert made.not_valid_before_utc == NOW - CLOCK_SKEW
    assert made.not_valid_after_utc == NOW + timedelta(days=365.25 * years)
    assert made.subject.rfc4514_string() == "CN=CA"


def test_the_verification_certificate_carries_the_registration_code_and_is_signed_by_the_ca():
    code = "f" * 64
    certificate = verification_certificate(signer=CA_KEY, ca=ca(), registration_code=code, now=NOW)
    assert certificate.subject.rfc4514_string() == f"CN={code}"
    certificate.verify_directly_issued_by(ca())
    with pytest.raises(ValueError, match=r"[Ii]ssuer"):
        certificate.verify_directly_issued_by(device())
