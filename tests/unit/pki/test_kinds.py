"""Keys that strangers send are known for what they are, in a time that does not depend on their numbers."""

import time
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pki.armour import Block
from pki.certificate_authority_checks import check_certificate_authority
from pki.csr import CsrError, read_csr
from pki.der import INTEGER, DerError, read
from pki.issued_certificate_checks import check_certificate_of_fleet
from pki.key_rules import read_public_key
from pki.kinds import PRIVATE_KEY, PUBLIC_KEY, kind_of
from pki.received_certificate import CertificateError, read_leaf
from tests.support.der import changed, csr, name, tlv
from tests.support.fleet.authority import CA, CA_KEY, issue, new_key

EC, RSA = new_key(), rsa.generate_private_key(65537, 2048)
PKCS8, OPENSSL = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL
# Seconds of this process alone. What is read at once takes a thousandth of it, and what is not takes minutes.
AT_ONCE = 0.5


def integer(number: int) -> bytes:
    return tlv(INTEGER, number.to_bytes(number.bit_length() // 8 + 1))


def mersenne(exponent: int) -> int:
    return (1 << exponent) - 1


def diffie_hellman() -> bytes:
    """A key of 1,600 bytes whose parameters take half a minute to be found prime (PKCS#3)."""
    prime = mersenne(9689)
    parameters = tlv(0x30, tlv(0x06, bytes.fromhex("2a864886f70d010301")), tlv(0x30, integer(prime), integer(2)))
    return tlv(0x30, parameters, tlv(0x03, b"\0", integer(pow(2, 12345, prime))))


def rsa_of_primes() -> bytes:
    """A private key of 11,000 bytes that takes a minute to be checked (RFC 8017 appendix A.1.2)."""
    p, q, e = mersenne(9689), mersenne(9941), 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    return tlv(0x30, *map(integer, (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))))


@pytest.mark.parametrize(
    "der",
    [
        EC.private_bytes(Encoding.DER, PKCS8, NoEncryption()),
        EC.private_bytes(Encoding.DER, OPENSSL, NoEncryption()),
        RSA.private_bytes(Encoding.DER, PKCS8, NoEncryption()),
        RSA.private_bytes(Encoding.DER, OPENSSL, NoEncryption()),
        dsa.generate_private_key(2048).private_bytes(Encoding.DER, OPENSSL, NoEncryption()),
        ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.DER, PKCS8, NoEncryption()),
        EC.private_bytes(Encoding.DER, PKCS8, BestAvailableEncryption(b"open sesame")),
        rsa_of_primes(),
    ],
    ids=["EC", "EC, SEC 1", "RSA", "RSA, PKCS#1", "DSA", "Ed25519", "encrypted", "RSA of huge primes"],
)
def test_a_private_key_is_known_by_its_shape(der):
    began = time.process_time()
    assert kind_of(Block("", der)) == PRIVATE_KEY
    assert time.process_time() - began < AT_ONCE


@pytest.mark.parametrize("der", [b"", b"\x30\0", b"\x30\x03\x02\x01\x01", tlv(0x30, integer(1), integer(2))])
def test_what_is_no_key_is_not_called_one(der):
    assert kind_of(Block("", der)) is None


def test_a_public_key_is_known_by_its_shape():
    der = EC.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert kind_of(Block("", der)) == PUBLIC_KEY
    began = time.process_time()
    assert kind_of(Block("", diffie_hellman())) == PUBLIC_KEY
    assert time.process_time() - began < AT_ONCE


@pytest.mark.parametrize(
    "key", [EC, ec.generate_private_key(ec.SECP521R1()), RSA, ed25519.Ed25519PrivateKey.generate()]
)
def test_keys_of_certificates_are_read(key):
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert read_public_key(der) == key.public_key()


def test_a_key_that_would_be_tested_for_being_prime_is_refused_at_once():
    began = time.process_time()
    with pytest.raises(DerError, match="another kind"):
        read_public_key(diffie_hellman())
    with pytest.raises(DerError, match="another kind"):
        key = x25519.X25519PrivateKey.generate().public_key()
        read_public_key(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(CertificateError, match="key is of an unknown kind"):
        read_leaf(changed(issue(EC), EC, key=diffie_hellman()))
    info, algorithm, signature = read(csr(EC, name(("CN", 0x0C, b"pi-1")))).children()
    version, subject, _, attributes = (each.der for each in info.children())
    to_be_signed = tlv(0x30, version, subject, diffie_hellman(), attributes)
    with pytest.raises(CsrError, match="key is of a kind that AWS IoT does not take"):
        read_csr(tlv(0x30, to_be_signed, algorithm.der, signature.der))
    assert time.process_time() - began < AT_ONCE


def test_a_ca_s_key_is_read_in_a_bounded_time_too():
    ca = x509.load_der_x509_certificate(changed(CA, CA_KEY, key=diffie_hellman()))
    now = datetime.now(UTC)
    began = time.process_time()
    with pytest.raises(CertificateError, match="key or signature is of an unknown kind"):
        check_certificate_authority(ca, now=now)
    with pytest.raises(CertificateError, match="was not issued by this fleet's CA"):
        check_certificate_of_fleet(read_leaf(issue(EC).public_bytes(Encoding.PEM)), authorities=[ca], now=now)
    assert time.process_time() - began < AT_ONCE
