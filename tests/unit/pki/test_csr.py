"""A CSR is read however it is wrapped, and refused for what it says."""

import base64
import hashlib
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pki.csr import CsrError, read_csr
from pki.fingerprint import is_key_fingerprint, key_fingerprint

KEY = ec.generate_private_key(ec.SECP256R1())
WEAK_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505  to be refused


def make_csr(key=KEY, *names: str, hash_algorithm=None) -> x509.CertificateSigningRequest:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hash_algorithm or hashes.SHA256()
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, algorithm)


CSR = make_csr(KEY, "pi-1")
DER = CSR.public_bytes(Encoding.DER)
PEM = CSR.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "body",
    [
        base64.b64encode(DER),
        base64.encodebytes(DER),  # lines of 76, as strongSwan sends
        base64.encodebytes(DER).replace(b"\n", b"\r\n"),
        b"\r\n  " + base64.b64encode(DER) + b" \n",
        PEM,
        PEM.replace(b"\n", b"\r\n"),
        PEM.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"),  # OpenSSL's old armour
    ],
    ids=["one line", "wrapped", "CRLF", "white space around", "PEM", "PEM with CRLF", "old PEM armour"],
)
def test_the_same_csr_is_read_from_every_wrapping(body):
    csr = read_csr(body)
    assert (csr.common_name, csr.fingerprint) == ("pi-1", key_fingerprint(KEY.public_key()))
    assert csr.pem.encode() == PEM


def test_a_csr_may_leave_the_name_open():
    assert read_csr(base64.b64encode(make_csr(KEY).public_bytes(Encoding.DER))).common_name == ""


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_the_curves_that_aws_iot_takes_are_taken(curve):
    read_csr(make_csr(ec.generate_private_key(curve), "pi-1").public_bytes(Encoding.PEM))


def raw_signature(csr: x509.CertificateSigningRequest) -> bytes:
    """The CSR as it comes out when a Zymkey's 64 raw bytes are put where DER belongs."""
    r, s = decode_dss_signature(csr.signature)
    der = csr.public_bytes(Encoding.DER)
    body = der[4:] if der[1] == 0x82 else der[3:] if der[1] == 0x81 else der[2:]
    rest = body[: -len(csr.signature) - 3]
    content = rest + b"\x03\x41\x00" + r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return b"\x30\x81" + bytes([len(content)]) + content


def tampered(csr: x509.CertificateSigningRequest) -> bytes:
    der = csr.public_bytes(Encoding.DER)
    assert der.count(b"pi-1") == 1
    return der.replace(b"pi-1", b"pi-2")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"!!!", "not base64"),
        (DER, "not base64"),
        (base64.b64encode(b"hello world"), "not a PKCS#10 CSR"),
        (base64.b64encode(DER[:-1]), "not a PKCS#10 CSR"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a CSR"),
        (b"A" * 4097, "4,097 characters"),
        (base64.b64encode(tampered(CSR)), "does not verify"),
        (base64.b64encode(raw_signature(CSR)), "does not verify"),
        (make_csr(KEY, "pi-1", "pi-2").public_bytes(Encoding.PEM), "2 common names"),
        (make_csr(WEAK_RSA, "pi-1").public_bytes(Encoding.PEM), "RSA-1024"),
        (make_csr(ec.generate_private_key(ec.SECP224R1()), "pi-1").public_bytes(Encoding.PEM), "secp224r1"),
        (make_csr(ec.generate_private_key(ec.SECP256K1()), "pi-1").public_bytes(Encoding.PEM), "secp256k1"),
        (make_csr(ed25519.Ed25519PrivateKey.generate(), "pi-1").public_bytes(Encoding.PEM), "Ed25519"),
    ],
    ids=[
        *("empty", "blank", "not base64", "raw DER", "not DER", "cut off", "a certificate", "too long"),
        *("changed after signing", "raw r and s", "two names", "RSA-1024", "P-224", "secp256k1", "ed25519"),
    ],
)
def test_a_bad_csr_is_refused_with_its_reason(body, sentence):
    with pytest.raises(CsrError, match=sentence) as refusal:
        read_csr(body)
    assert "\n" not in str(refusal.value)


@given(st.binary(max_size=600))
def test_no_bytes_at_all_break_the_reader(body):
    with pytest.raises(CsrError):
        read_csr(body)


@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_a_csr_with_one_byte_changed_never_passes_for_another_key_or_name(position, value):
    changed = DER[:position] + bytes([value]) + DER[position + 1 :]
    try:
        csr = read_csr(base64.b64encode(changed))
    except CsrError:
        return
    assert (csr.common_name, csr.fingerprint) == ("pi-1", key_fingerprint(KEY.public_key()))


def openssl(*arguments, stdin: bytes | None = None) -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout


def test_a_fingerprint_is_the_one_that_openssl_computes(tmp_path):
    path = tmp_path / "csr.pem"
    path.write_bytes(PEM)
    public = openssl("req", "-in", path, "-noout", "-pubkey")
    der = openssl("pkey", "-pubin", "-outform", "DER", stdin=public)
    expected = "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    assert key_fingerprint(KEY.public_key()) == expected
    assert is_key_fingerprint(expected)
    assert not is_key_fingerprint(expected + "=")
