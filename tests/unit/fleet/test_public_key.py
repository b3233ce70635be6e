"""A key as people have it: every wrapping of a key, a CSR or a certificate, and every spelling of a fingerprint."""

import base64
import codecs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from fleet.errors import Refused
from fleet.public_key import fingerprint_of
from pki.fingerprint import key_fingerprint
from tests.support.fleet.authority import CA, csr, fingerprint, issue, new_key

KEY = new_key()
FINGERPRINT = fingerprint(KEY)
SPKI = PublicFormat.SubjectPublicKeyInfo
PEMS = {
    "public key": KEY.public_key().public_bytes(Encoding.PEM, SPKI),
    "CSR": csr(KEY).encode(),
    "certificate": issue(KEY).public_bytes(Encoding.PEM),
}
WRAPPINGS = {
    "as it is": lambda pem: pem,
    "CRLF": lambda pem: pem.replace(b"\n", b"\r\n"),
    "BOM": lambda pem: codecs.BOM_UTF8 + pem,
    "UTF-16": lambda pem: pem.decode().encode("utf-16"),
    "text around it": lambda pem: b"Key of pi-1:\r\n" + pem + b"\nregards\n",
    "one line": lambda pem: b"".join(pem.splitlines()),
    "breaks written out": lambda pem: pem.replace(b"\n", rb"\n"),
    "base64 of it": lambda pem: base64.b64encode(pem),
    "bare base64": lambda pem: b"".join(pem.splitlines()[1:-1]),
    "DER": lambda pem: base64.b64decode(b"".join(pem.splitlines()[1:-1])),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS.values(), ids=WRAPPINGS)
@pytest.mark.parametrize("pem", PEMS.values(), ids=PEMS)
def test_a_key_is_read_in_every_wrapping(tmp_path, pem, wrapping):
    (tmp_path / "key").write_bytes(wrapping(pem))
    assert fingerprint_of(str(tmp_path / "key")) == FINGERPRINT


@pytest.mark.parametrize(
    "spelling",
    [
        *("{}", "{}=", " {}\n", "\t{}= "),
        *(FINGERPRINT.replace("SHA256:", prefix) for prefix in ("sha256:", "Sha256:", "SHA-256:", "sha256=")),
        FINGERPRINT.replace("+", "-").replace("/", "_"),
    ],
    ids=range(9),  # the key is another one in each process
)
def test_a_fingerprint_is_read_in_every_spelling(tmp_path, spelling):
    text = spelling.format(FINGERPRINT)
    assert fingerprint_of(text) == FINGERPRINT
    (tmp_path / "key").write_text(f"\ufeff{text}\r\n")
    assert fingerprint_of(str(tmp_path / "key")) == FINGERPRINT


def test_a_certificate_with_its_chain_is_the_device_s(tmp_path):
    (tmp_path / "chain.pem").write_bytes(CA.public_bytes(Encoding.PEM) + PEMS["certificate"])
    assert fingerprint_of(str(tmp_path / "chain.pem")) == FINGERPRINT
    (tmp_path / "all.pem").write_bytes(PEMS["public key"] + PEMS["CSR"] + PEMS["certificate"])
    assert fingerprint_of(str(tmp_path / "all.pem")) == FINGERPRINT


def private(form, encoding=Encoding.PEM):
    return KEY.private_bytes(encoding, form, NoEncryption())


def unsigned():
    """A CSR whose signature is another's."""
    request = x509.load_pem_x509_csr(PEMS["CSR"]).public_bytes(Encoding.DER)
    return request[:-4] + bytes(4)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (private(PrivateFormat.PKCS8), "holds a private key"),
        (private(PrivateFormat.TraditionalOpenSSL), "holds a private key"),
        (private(PrivateFormat.PKCS8, Encoding.DER), "holds a private key"),
        (private(PrivateFormat.OpenSSH), "holds a private key"),
        (private(PrivateFormat.PKCS8).decode().encode("utf-16"), "holds a private key"),
        (PEMS["certificate"] + private(PrivateFormat.PKCS8), "holds a private key"),
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "holds a private key"),
        (b"", "the text is empty"),
        (b"hello, world", "it is not base64"),
        (KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), "it is not base64"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "The public key is damaged"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "holds a certificate revocation list, and no"),
        (b"AAAA", "holds something else, and no"),
        (unsigned(), "signature does not verify"),
        (PEMS["public key"] + new_key().public_key().public_bytes(Encoding.PEM, SPKI), "holds 2 keys"),
        (CA.public_bytes(Encoding.PEM), "only CA certificates"),
        (ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, SPKI), "AWS IoT takes P-256"),
        (b"SHA256:tooshort\n", "is not a fingerprint"),
    ],
)
def test_what_holds_no_usable_key_is_told_as_what_it_is(tmp_path, content, reason):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(Refused) as refused:
        fingerprint_of(str(tmp_path / "key"))
    assert reason in refused.value.cause
    assert refused.value.cure


def test_the_older_form_of_an_rsa_key_is_the_same_key(tmp_path):
    key = rsa.generate_private_key(65537, 2048).public_key()
    (tmp_path / "key").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.PKCS1))
    assert fingerprint_of(str(tmp_path / "key")) == key_fingerprint(key)


@pytest.mark.parametrize(
    "spelling", ["SHA256:", "sha256:abc", FINGERPRINT + "==", FINGERPRINT[:-1], FINGERPRINT + "A"], ids=range(5)
)
def test_a_fingerprint_that_is_none_is_not_looked_for_as_a_file(spelling):
    with pytest.raises(Refused, match="is not a fingerprint"):
        fingerprint_of(spelling)
