"""A stranger's certificate is read once, into plain values; whatever reading it raises is a reason to refuse it."""

import base64
import re
import warnings
from datetime import UTC, datetime
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pki.armour import unwrap
from pki.certificates import ca_certificate, device_certificate
from pki.fingerprint import certificate_id, key_fingerprint
from pki.received_certificate import CertificateError, read_certificate, read_leaf
from tests.support import der
from tests.support.fleet.authority import csr

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CA_KEY = ec.generate_private_key(ec.SECP256R1())
CA = ca_certificate(signer=CA_KEY, common_name="fleet CA", organization="", validity_years=10, now=NOW)
KEY = ec.generate_private_key(ec.SECP256R1())
LEAF = device_certificate(
    signer=CA_KEY, ca=CA, key=KEY.public_key(), device="pi-1", subject={}, validity_days=30, now=NOW
)
LEAF_DER = LEAF.public_bytes(Encoding.DER)
LEAF_PEM = LEAF.public_bytes(Encoding.PEM)
CA_PEM = CA.public_bytes(Encoding.PEM)

VECTORS = Path(cryptography_vectors.__path__[0]) / "x509"


def test_everything_that_is_asked_of_a_certificate_is_a_plain_value():
    read = read_certificate(LEAF_DER)
    assert read.certificate_id == certificate_id(LEAF)
    assert read.fingerprint == key_fingerprint(KEY.public_key())
    assert [(each.text, each.string) for each in read.common_names] == [("pi-1", "UTF8String")]
    assert (read.subject, read.issuer) == ("CN=pi-1", "CN=fleet CA")
    assert read.serial == LEAF.serial_number
    assert (read.not_before, read.not_after) == (LEAF.not_valid_before_utc, LEAF.not_valid_after_utc)
    assert (read.signature_hash, read.is_ca, read.may_sign_data) == ("sha256", False, True)
    assert read.purposes == {x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH}
    assert read.pem.encode() == LEAF_PEM
    authority = read_certificate(CA.public_bytes(Encoding.DER))
    assert (authority.is_ca, authority.may_sign_data, authority.purposes) == (True, False, None)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("e-trust.ru.der", "key is of an unknown kind"),
        ("san_x400address.der", "extensions cannot be read: x400Address/EDIPartyName are not supported types"),
        ("san_edipartyname.der", "extensions cannot be read"),
        ("custom/two_basic_constraints.pem", "extensions cannot be read: Duplicate 2.5.29.19"),
        ("belgian-eid-invalid-visiblestring.pem", "extensions cannot be read: Invalid ASN.1"),
        ("custom/negative_serial.pem", "serial number is not positive"),
        ("custom/invalid_utf8_common_name.pem", "subject cannot be read: the common name is not the UTF8String"),
        ("v1_cert.pem", "unknown algorithm"),
        ("custom/rsa_pss_cert_no_sig_params.der", "unknown algorithm"),
        ("custom/invalid_version.pem", "DER is damaged"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(file, reason):
    with pytest.raises(CertificateError, match=reason) as refusal:
        read_leaf((VECTORS / file).read_bytes())
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).endswith(".")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("file", ["bad_country.pem", "long-form-name-attribute.pem"])
def test_oddities_of_a_name_that_matter_to_nobody_are_accepted(file):
    """What only warns today, and what the library does not read: no part of the name but the common name is used."""
    (block,) = unwrap((VECTORS / "custom" / file).read_bytes())
    assert read_certificate(block.der).subject == "(unreadable)"


@pytest.mark.filterwarnings("error")
def test_no_certificate_of_the_vectors_raises_anything_but_a_refusal():
    read = refused = 0
    for path in sorted(VECTORS.rglob("*")):
        if path.suffix not in (".pem", ".der", ".crt"):
            continue
        try:
            read_leaf(path.read_bytes())
            read += 1
        except CertificateError:
            refused += 1
    assert read > 100
    assert refused > 100


def test_reading_leaves_the_warnings_of_others_as_they_are():
    before = list(warnings.filters)
    read_certificate(LEAF_DER)
    assert warnings.filters == before


def test_a_serial_number_is_positive():
    for serial in (b"\0", b"\xff", b"\x80\0"):
        with pytest.raises(CertificateError, match="not positive"):
            read_certificate(der.changed(LEAF, CA_KEY, serial=serial))
    assert read_certificate(der.changed(LEAF, CA_KEY, serial=b"\1")).serial == 1


def test_a_curve_that_the_library_does_not_know_is_a_reason():
    unknown = der.key_of(LEAF).replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f"))
    with pytest.raises(CertificateError, match="key is of an unknown kind"):
        read_certificate(der.changed(LEAF, CA_KEY, key=unknown))


def test_a_common_name_is_read_from_every_string_type():
    for string, encoding in der.ENCODINGS.items():
        odd = read_certificate(der.changed(LEAF, CA_KEY, subject=der.name(("CN", string, "pi-1".encode(encoding)))))
        assert [each.text for each in odd.common_names] == ["pi-1"]
        assert odd.common_names[0].is_usual == (string in (der.UTF8, der.PRINTABLE))
    with pytest.raises(CertificateError, match="is no text"):
        read_certificate(der.changed(LEAF, CA_KEY, subject=der.name(("CN", der.BITS, b"\0pi-1"))))


def test_the_leaf_is_found_with_its_chain_in_any_order():
    for text in (LEAF_PEM, LEAF_PEM + CA_PEM, CA_PEM + LEAF_PEM):
        assert read_leaf(text).certificate == LEAF


def test_a_certificate_of_the_chain_that_cannot_be_read_does_not_matter():
    odd = (VECTORS / "v1_cert.pem").read_bytes()
    assert read_leaf(odd + LEAF_PEM).certificate == LEAF
    assert read_leaf(LEAF_PEM + odd).certificate == LEAF


def private(encoding, encryption=None):
    return KEY.private_bytes(encoding, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b" \n", "is empty"),
        (b"no PEM", "not a certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "DER is damaged"),
        (LEAF_PEM.replace(b"-----END", b"---- END"), "END line is missing"),
        (CA_PEM, "only CA certificates"),
        (LEAF_PEM * 2, "2 device certificates"),
        (b"x" * 65_537, "65,537 characters long"),
        (csr(KEY).encode(), "This is a CSR, not a certificate"),
        (private(Encoding.PEM), "This is a private key, not a certificate"),
        (private(Encoding.DER), "This is a private key, not a certificate"),
        (private(Encoding.DER, BestAvailableEncryption(b"secret")), "This is a private key, not a certificate"),
        (
            KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "This is a public key, not a certificate",
        ),
        (b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", r"This is a PKCS#7 bundle, not a certificate"),
        (b"-----BEGIN \x1b[31mFOO-----\nAAAA\n-----END \x1b[31mFOO-----\n", r"This is '\?\[31mFOO', not a certificate"),
    ],
)
def test_a_text_without_exactly_one_leaf_is_refused_and_told_what_it_is(text, reason):
    with pytest.raises(CertificateError, match=reason):
        read_leaf(text)


def test_a_certificate_is_read_as_der_and_as_base64_of_it():
    assert read_leaf(LEAF_DER).certificate == LEAF
    assert read_leaf(base64.b64encode(LEAF_DER)).certificate == LEAF


# What reads a certificate or a CSR with the library itself: the readers, and what this project has made or registered.
READERS = {
    "pki/received_certificate.py",
    "pki/kinds.py",
    "pki/certificate_authority_checks.py",
    "functions/declared_status.py",
    "functions/deployment.py",
    "functions/enroll.py",
    "fleet/authorities.py",
    "fleet/left_behind.py",
}


def test_nothing_else_reads_certificates_and_csrs():
    root = Path(__file__).parents[3]
    found = {
        str(path.relative_to(root))
        for folder in ("pki", "functions", "fleet", "infra")
        for path in (root / folder).rglob("*.py")
        if re.search(r"load_(pem|der)_x509_", path.read_text())
    }
    assert found == READERS
