"""A CSR is read however it is wrapped, and refused for what it says."""

import base64
import hashlib
import re
import subprocess
from contextlib import suppress
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pki.csr import CsrError, read_csr
from pki.der import read
from pki.fingerprint import is_key_fingerprint, key_fingerprint
from tests.support import der

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
        DER,
        b"Certificate Request:\n    Data:\n        Version: 1 (0x0)\n" + PEM,  # openssl req -text
        PEM + b"\nsent from my telephone\n",
        b"\xef\xbb\xbf" + PEM,
        PEM.replace(b"\n", b""),
        PEM.replace(b"\n", b" "),
        PEM.replace(b"\n", rb"\n"),  # out of JSON
        PEM.replace(b"\n", b"\r"),
        PEM.decode().encode("utf-16"),
        PEM.decode().encode("utf-16-le"),
        PEM.decode().encode("utf-16-be"),
        base64.encodebytes(PEM),
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + PEM,
    ],
    ids=[
        *("one line", "wrapped", "CRLF", "white space around", "PEM", "PEM with CRLF", "old PEM armour", "DER"),
        *("text before", "text after", "byte order mark", "PEM on one line", "blanks for line breaks"),
        *("escaped line breaks", "old Mac line breaks", "UTF-16", "UTF-16-LE", "UTF-16-BE", "base64 of PEM"),
        "parameters before",
    ],
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
        (base64.b64encode(b"hello world"), "not a PKCS#10 CSR"),
        (base64.b64encode(DER[:-1]), "not a PKCS#10 CSR"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a CSR"),
        (b"A" * 16_385, "16,385 characters"),
        (base64.b64encode(b"A" * 3100), "characters long as PEM"),
        (base64.b64encode(tampered(CSR)), "does not verify"),
        (base64.b64encode(raw_signature(CSR)), "does not verify"),
        (make_csr(KEY, "pi-1", "pi-2").public_bytes(Encoding.PEM), "2 common names"),
        (make_csr(WEAK_RSA, "pi-1").public_bytes(Encoding.PEM), "RSA-1024"),
        (make_csr(ec.generate_private_key(ec.SECP224R1()), "pi-1").public_bytes(Encoding.PEM), "secp224r1"),
        (make_csr(ec.generate_private_key(ec.SECP256K1()), "pi-1").public_bytes(Encoding.PEM), "secp256k1"),
        (make_csr(ed25519.Ed25519PrivateKey.generate(), "pi-1").public_bytes(Encoding.PEM), "Ed25519"),
    ],
    ids=[
        *("empty", "blank", "not base64", "not DER", "cut off", "a certificate", "too long", "too long as PEM"),
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


SUBJECT = der.name(("CN", der.UTF8, b"pi-1"))
COMMON_NAME = SUBJECT[2:]
LONG_TYPE = der.tlv(0x06, b"\xff" * 2100 + b"\x01")  # a number of more digits than Python writes


@pytest.mark.parametrize(
    "odd",
    [
        der.csr(KEY, SUBJECT, attributes=b""),
        der.csr(KEY, SUBJECT, version=1),
        der.csr(KEY, der.name(("O", der.TELETEX, "M\u00fcller".encode("latin-1")), ("CN", der.UTF8, b"pi-1"))),
        der.csr(KEY, der.name(("O", der.BMP, b"\0o\0k"), ("C", der.UTF8, b"DEUTSCHL"), ("CN", der.PRINTABLE, b"pi-1"))),
        der.csr(KEY, SUBJECT, attributes=der.tlv(0xA0, der.tlv(0x30, der.tlv(0x06, b"\x2a\x03"), der.tlv(0x31)))),
        der.csr(KEY, der.tlv(0x30, der.tlv(0x31, der.tlv(0x30, LONG_TYPE, der.tlv(der.UTF8, b"x"))), COMMON_NAME)),
    ],
    ids=[
        *("no attributes", "version 2", "Latin-1 organization", "BMPString, long country", "empty attribute"),
        "long type of a part that does not matter",
    ],
)
def test_what_openssl_reads_and_matters_to_nobody_is_accepted(odd, tmp_path):
    csr = read_csr(base64.b64encode(odd))
    assert (csr.common_name, csr.fingerprint) == ("pi-1", key_fingerprint(KEY.public_key()))
    (tmp_path / "csr").write_text(csr.pem)
    openssl("req", "-in", tmp_path / "csr", "-verify", "-noout")
    assert read_csr(csr.pem.encode()) == csr, "what the ledger keeps is read again"


@pytest.mark.parametrize("string", [der.TELETEX, der.BMP, der.UNIVERSAL])
def test_an_odd_common_name_is_read_and_its_string_type_told(string):
    csr = read_csr(der.csr(KEY, der.name(("CN", string, "pi-1".encode(der.ENCODINGS[string])))))
    assert csr.common_name == "pi-1"
    assert csr.common_name_string in ("TeletexString", "BMPString", "UniversalString")


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (der.name(("CN", der.BITS, b"\0pi-1")), "is no text"),
        (der.name(("CN", der.BMP, b"odd")), "is not the BMPString that it claims to be"),
        (der.name(("CN", der.UTF8, b"\xff")), "is not the UTF8String that it claims to be"),
        (der.tlv(0x30, der.tlv(0x31, der.tlv(0x30))), "a type and a value"),
    ],
)
def test_a_common_name_that_cannot_be_read_is_refused(subject, reason):
    with pytest.raises(CsrError, match=reason):
        read_csr(der.csr(KEY, subject))


@pytest.mark.parametrize("algorithm", [LONG_TYPE, der.tlv(0x06), der.tlv(0x06, b"\xff"), der.tlv(0x05), b""])
def test_a_signature_of_an_unknown_algorithm_is_refused_as_one(algorithm):
    to_be_signed, _, signature = (each.der for each in read(DER).children())
    with pytest.raises(CsrError, match="signed with an unknown algorithm"):
        read_csr(der.tlv(0x30, to_be_signed, der.tlv(0x30, algorithm), signature))


def test_only_a_whole_csr_is_one():
    info, algorithm, signature = read(DER).children()
    odd_bits = der.tlv(0x03, b"\x01", signature.content[1:])
    _, *rest = (each.der for each in info.children())
    no_version = der.tlv(0x30, der.tlv(0x04, b"\0"), *rest)
    for parts in ((info.der, algorithm.der, odd_bits), (no_version, algorithm.der, signature.der), (info.der,)):
        with pytest.raises(CsrError, match="not a PKCS#10"):
            read_csr(der.tlv(0x30, *parts))


PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (PRIVATE, "private key: never send it"),
        (PRIVATE + PEM, "private key: never send it"),
        (KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), "private key: never send it"),
        (KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()), "never send it"),
        (KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "a public key, not a CSR"),
        (PEM * 2, "2 CSRs"),
        (PEM[:-30], "its END line is missing"),
        (PEM.replace(b"END CERTIFICATE REQUEST", b"END CERTIFICATE"), "begins as .* and ends as"),
        (b"-----BEGIN", "is damaged"),
        (der.csr(KEY, SUBJECT, attributes=b"\xa1\x00"), "not a PKCS#10"),
        (der.csr(KEY, SUBJECT, attributes=b"\xa0\x00\xa0\x00"), "not a PKCS#10"),
    ],
)
def test_what_was_sent_instead_is_said(body, sentence):
    with pytest.raises(CsrError, match=sentence) as refusal:
        read_csr(body)
    assert PRIVATE.splitlines()[1].decode()[:20] not in str(refusal.value)


def signed(key, pad=None):
    builder = x509.CertificateSigningRequestBuilder().subject_name(CSR.subject)
    return builder.sign(key, hashes.SHA384(), rsa_padding=pad).public_bytes(Encoding.PEM)


def test_signatures_of_rsa_are_read_in_both_paddings():
    key = rsa.generate_private_key(65537, 2048)
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 32)
    assert read_csr(signed(key)).fingerprint == read_csr(signed(key, pss)).fingerprint
    changed = bytearray(x509.load_pem_x509_csr(signed(key, pss)).public_bytes(Encoding.DER))
    changed[-1] ^= 1
    with pytest.raises(CsrError, match="does not verify"):
        read_csr(bytes(changed))


@pytest.mark.filterwarnings("error")
def test_the_vectors_are_read_as_the_library_reads_them():
    """Whatever ``cryptography`` accepts with a good key and signature is accepted here, with the same key and name."""
    same = 0
    for path in sorted(Path(cryptography_vectors.__path__[0], "x509", "requests").iterdir()):
        data = path.read_bytes()
        try:
            csr = read_csr(data)
        except CsrError as error:
            reason = str(error)
            assert re.search("AWS IoT|unknown algorithm|not verify|not a PKCS|subject cannot be read|base64", reason), (
                path.name,
                reason,
            )
            continue
        load = x509.load_pem_x509_csr if b"-----BEGIN" in data else x509.load_der_x509_csr
        with suppress(ValueError, x509.InvalidVersion):
            theirs = load(data)
            assert theirs.is_signature_valid
            assert csr.fingerprint == key_fingerprint(theirs.public_key())
            assert csr.pem.encode() == theirs.public_bytes(Encoding.PEM)
            same += 1
    assert same > 5
