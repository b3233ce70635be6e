"""A certificate in which not all can be read: its device goes on, and a file with it is called what it is."""

import datetime
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from device.certificate import DeviceCertificate
from device.errors import CertificateUnusable
from tests.support import der
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

IN_LATIN_1 = der.name(("O", der.TELETEX, "Müller".encode("latin-1")), ("CN", der.UTF8, b"a CA"))
UNREADABLE = "(a name that cannot be read)"


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pi-7")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


def pem(data: bytes) -> bytes:
    return x509.load_der_x509_certificate(data).public_bytes(Encoding.PEM)


def test_names_that_cannot_be_read_stop_nothing(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    odd = DeviceCertificate.from_pem(
        pem(der.changed(certificate, key, issuer=IN_LATIN_1, subject=IN_LATIN_1)), source="a file"
    )
    assert (odd.subject, odd.issuer, odd.common_name) == (UNREADABLE, UNREADABLE, None)


def test_status_shows_a_certificate_whose_issuer_cannot_be_read(
    pi: Pi, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    (pi.state / "certificate.pem").write_bytes(pem(der.changed(certificate, key, issuer=IN_LATIN_1)))

    done = zymkey_iot("status")

    assert (done.returncode, UNREADABLE in done.stdout) == (12, True), done.stderr


def test_dates_that_are_none_are_a_fault_of_the_file(
    certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    year_0 = der.tlv(0x30, *[der.tlv(0x18, b"00000101000000Z")] * 2)
    odd = pem(der.changed(certificate, key, validity=year_0))
    with pytest.raises(CertificateUnusable, match="a file does not hold a certificate"):
        DeviceCertificate.from_pem(odd, source="a file")
    with pytest.raises(ValueError, match="dates"):
        DeviceCertificate(x509.load_pem_x509_certificate(odd))


def test_a_key_whose_numbers_would_be_tested_for_half_a_minute_is_not_read(
    certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    """Diffie-Hellman modulo a known prime, 2**9941 - 1 (PKCS #3); nobody has such a certificate but to do harm."""
    prime, two = (der.tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1)) for number in (2**9941 - 1, 2))
    dh = der.tlv(0x30, der.tlv(0x06, bytes.fromhex("2a864886f70d010301")), der.tlv(0x30, prime, two))
    odd = DeviceCertificate(
        x509.load_der_x509_certificate(der.changed(certificate, key, key=der.tlv(0x30, dh, der.tlv(0x03, b"\0", two))))
    )

    began = time.monotonic()
    assert (odd.public_key, odd.is_for(key.public_key()), odd.has_signed(DeviceCertificate(certificate))) == (
        None,
        False,
        False,
    )
    assert time.monotonic() - began < 1


def test_a_certificate_is_for_its_key_and_signed_by_its_authority(
    certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    own = DeviceCertificate(certificate)
    another = ec.generate_private_key(ec.SECP256R1())
    assert (own.is_for(key.public_key()), own.is_for(another.public_key())) == (True, False)
    assert own.has_signed(own)
    unknown = x509.load_der_x509_certificate(der.changed(certificate, another))
    assert not own.has_signed(DeviceCertificate(unknown))
