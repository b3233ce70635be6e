"""Every reason for which a certificate that was signed elsewhere is not registered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pki.certificates import ca_certificate, device_certificate
from pki.fingerprint import key_fingerprint
from pki.issued_certificate_checks import check_certificate_of_fleet, check_issued_certificate
from pki.received_certificate import CertificateError, read_certificate
from tests.support import der

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CA_KEY = ec.generate_private_key(ec.SECP256R1())
CA = ca_certificate(signer=CA_KEY, common_name="fleet CA", organization="", validity_years=10, now=NOW)
DEVICE_KEY = ec.generate_private_key(ec.SECP256R1())


def issue(**changes: Any) -> x509.Certificate:
    values: dict[str, Any] = {
        "signer": CA_KEY,
        "ca": CA,
        "key": DEVICE_KEY.public_key(),
        "device": "pi-1",
        "subject": {},
        "validity_days": 30,
        "now": NOW,
    }
    return device_certificate(**values | changes)


def issue_with(*extensions: x509.ExtensionType, common_names: tuple[str, ...] = ("pi-1",)) -> x509.Certificate:
    """A certificate as another tool might make it: with these extensions and no others."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names]))
        .issuer_name(CA.subject)
        .public_key(DEVICE_KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=30))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(CA_KEY, hashes.SHA256())


def check(certificate: x509.Certificate, **changes: Any) -> None:
    values: dict[str, Any] = {
        "authorities": [CA],
        "public_key_fingerprint": key_fingerprint(DEVICE_KEY.public_key()),
        "device": "pi-1",
        "now": NOW,
    }
    check_issued_certificate(read_certificate(certificate.public_bytes(Encoding.DER)), **values | changes)


def key_usage(**changes: bool) -> x509.KeyUsage:
    nothing = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    return x509.KeyUsage(**nothing | changes)


def test_a_certificate_of_our_own_profile_passes() -> None:
    check(issue())


def test_a_bare_certificate_as_openssl_x509_makes_it_passes() -> None:
    check(issue_with())


def test_a_certificate_of_any_of_several_authorities_passes() -> None:
    other_key = ec.generate_private_key(ec.SECP256R1())
    other = ca_certificate(signer=other_key, common_name="old CA", organization="", validity_years=10, now=NOW)
    check(issue(), authorities=[other, CA])
    check(issue(signer=other_key, ca=other), authorities=[other, CA])


def test_a_certificate_for_another_key_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(CertificateError, match=r"is for the key SHA256:.*but the device has the key SHA256:"):
        check(issue(key=other))


@pytest.mark.parametrize("name", ["pi-2", "PI-1", "pi-1 "])
def test_a_certificate_for_another_name_is_refused(name: str) -> None:
    with pytest.raises(CertificateError, match=f"common name is '{name}'; it must be 'pi-1'"):
        check(issue(device=name))


def test_a_certificate_without_a_name_is_refused() -> None:
    with pytest.raises(CertificateError, match="common name is empty"):
        check(issue_with(common_names=()))


def test_a_certificate_with_a_second_name_is_refused() -> None:
    with pytest.raises(CertificateError, match="common name is 'pi-1' and 'pi-2'"):
        check(issue_with(common_names=("pi-1", "pi-2")))


def test_a_certificate_of_another_authority_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    other = ca_certificate(signer=key, common_name="other CA", organization="", validity_years=10, now=NOW)
    with pytest.raises(CertificateError, match="not issued by this fleet's CA: its issuer is 'CN=other CA'"):
        check(issue(signer=key, ca=other))


def test_a_certificate_of_another_authority_with_the_same_name_is_refused_and_the_trap_is_named() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    twin = ca_certificate(signer=key, common_name="fleet CA", organization="", validity_years=10, now=NOW)
    with pytest.raises(CertificateError, match="which is the right name, but the signature is another key's"):
        check(issue(signer=key, ca=twin))


def test_a_self_signed_certificate_is_refused() -> None:
    with pytest.raises(CertificateError, match="not issued by this fleet's CA"):
        check(issue(signer=DEVICE_KEY))


def test_an_expired_certificate_is_refused() -> None:
    with pytest.raises(CertificateError, match="expired at 2026-12-24T12:00:00Z"):
        check(issue(), now=NOW + timedelta(days=30))


def test_a_certificate_that_is_not_valid_yet_is_refused() -> None:
    with pytest.raises(CertificateError, match="not valid before 2026-11-24T12:00:00Z"):
        check(issue_with(), now=NOW - timedelta(seconds=1))


def test_a_certificate_of_an_expired_authority_is_refused_even_if_it_outlives_it() -> None:
    short = ca_certificate(signer=CA_KEY, common_name="fleet CA", organization="", validity_years=1, now=NOW)
    late = NOW + timedelta(days=370)
    certificate = issue(now=late)
    with pytest.raises(CertificateError, match=r"The CA 'CN=fleet CA' is valid from .* and not now"):
        check(certificate, authorities=[short], now=late)


def test_an_authority_is_no_device() -> None:
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    with pytest.raises(CertificateError, match="is a CA's"):
        check(issue_with(constraints))


def test_a_certificate_for_servers_only_is_refused() -> None:
    with pytest.raises(CertificateError, match="lacks clientAuth"):
        check(issue_with(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])))


@pytest.mark.parametrize("purpose", [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
def test_a_certificate_for_clients_passes(purpose: x509.ObjectIdentifier) -> None:
    check(issue_with(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, purpose])))


def test_a_certificate_whose_key_may_not_sign_is_refused() -> None:
    with pytest.raises(CertificateError, match="lacks digitalSignature"):
        check(issue_with(key_usage(key_encipherment=True)))


def test_a_key_that_aws_iot_does_not_take_is_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505
    with pytest.raises(CertificateError, match="key is RSA-1024; AWS IoT takes P-256"):
        check(issue(key=weak), public_key_fingerprint=key_fingerprint(weak))


@pytest.mark.parametrize("string", [der.TELETEX, der.BMP, der.UNIVERSAL])
def test_a_common_name_of_an_odd_string_type_is_refused_because_aws_iot_reads_it(string: int) -> None:
    odd = der.name(("CN", string, "pi-1".encode(der.ENCODINGS[string])))
    with pytest.raises(CertificateError, match="must be a UTF8String or a PrintableString"):
        check(x509.load_der_x509_certificate(der.changed(issue(), CA_KEY, subject=odd)))


def test_a_printable_common_name_is_as_good_as_one_in_utf_8() -> None:
    printable = der.name(("CN", der.PRINTABLE, b"pi-1"))
    check(x509.load_der_x509_certificate(der.changed(issue(), CA_KEY, subject=printable)))


def test_an_issuer_whose_organization_is_in_latin_1_issues_as_any_other() -> None:
    """As CAs of twenty years ago are named; the package ``cryptography`` does not read the name."""
    of_ca = der.name(("O", der.TELETEX, "M\u00fcller".encode("latin-1")), ("CN", der.UTF8, b"CA"))
    ca = x509.load_der_x509_certificate(der.changed(CA, CA_KEY, subject=of_ca, issuer=of_ca))
    leaf = x509.load_der_x509_certificate(der.changed(issue(), CA_KEY, issuer=of_ca))
    check(leaf, authorities=[ca])
    other = ec.generate_private_key(ec.SECP256R1())
    forged = x509.load_der_x509_certificate(der.changed(issue(), other, issuer=of_ca))
    with pytest.raises(CertificateError, match="the right name, but the signature is another key's"):
        check(forged, authorities=[ca])
    past = ca_certificate(
        signer=CA_KEY, common_name="CA", organization="", validity_years=1, now=NOW - timedelta(days=400)
    )
    with pytest.raises(CertificateError, match="and not now"):
        check(leaf, authorities=[x509.load_der_x509_certificate(der.changed(past, CA_KEY, subject=of_ca))])


def test_what_needs_no_device_is_checked_of_a_stranger_too() -> None:
    def check_stranger(certificate: x509.Certificate, now: datetime = NOW) -> None:
        received = read_certificate(certificate.public_bytes(Encoding.DER))
        check_certificate_of_fleet(received, authorities=[CA], now=now)

    check_stranger(issue(device="whoever"))
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505
    other = ec.generate_private_key(ec.SECP256R1())
    for wrong, reason in (
        (issue(key=weak), "RSA-1024"),
        (issue(now=NOW + timedelta(days=1)), "not valid before"),
        (issue_with(x509.BasicConstraints(ca=True, path_length=None)), "is a CA's"),
        (issue_with(key_usage(key_encipherment=True)), "digitalSignature"),
        (issue(signer=other), "another key's"),
    ):
        with pytest.raises(CertificateError, match=reason):
            check_stranger(wrong)
    with pytest.raises(CertificateError, match="expired"):
        check_stranger(issue(), now=NOW + timedelta(days=31))
