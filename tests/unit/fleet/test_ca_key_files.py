"""The CA's key as people have it: encrypted in either form or not, in every wrapping; and what a file holds instead."""

import argparse
import base64
import codecs
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from fleet.ca_key import open_ca
from fleet.errors import Refused
from fleet.passphrase import passphrase
from tests.support.fleet.authority import CA, CA_KEY, csr, new_key

SECRET = b"open sesame"
PKCS8, OLDER = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL


def key(form=PKCS8, *, encrypted=False, encoding=Encoding.PEM, of=CA_KEY):
    return of.private_bytes(encoding, form, BestAvailableEncryption(SECRET) if encrypted else NoEncryption())


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A function that opens the CA with a key file of this content."""
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", SECRET.decode())
    (tmp_path / "ca.crt").write_bytes(CA.public_bytes(Encoding.PEM))

    def opened(content, certificate=None):
        (tmp_path / "ca.key").write_bytes(content)
        if certificate is not None:
            (tmp_path / "ca.crt").write_bytes(certificate)
        arguments = argparse.Namespace(
            ca_cert=tmp_path / "ca.crt", ca_key=str(tmp_path / "ca.key"), passphrase_file=None
        )
        return open_ca(arguments)

    return opened


FORMS = {
    "PKCS#8": key(),
    "PKCS#8, encrypted": key(encrypted=True),
    "older": key(OLDER),
    "older, encrypted": key(OLDER, encrypted=True),
    "OpenSSL's, with its parameters": b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    + key(OLDER),
    "with its certificate": CA.public_bytes(Encoding.PEM) + key(),
    "CRLF": key().replace(b"\n", b"\r\n"),
    "older, encrypted, CRLF": key(OLDER, encrypted=True).replace(b"\n", b"\r\n"),
    "BOM": codecs.BOM_UTF8 + key(encrypted=True),
    "UTF-16": key().decode().encode("utf-16"),
    "text around it": b"The key\n" + key() + b"\nof the CA",
    "one line": b"".join(key().splitlines()),
    "base64 of it": base64.b64encode(key()),
    "DER": key(encoding=Encoding.DER),
    "DER, encrypted": key(encoding=Encoding.DER, encrypted=True),
    "DER, older": key(OLDER, encoding=Encoding.DER),
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_a_key_is_opened_in_every_form(opened, content):
    certificate, signer = opened(content)
    assert certificate == CA
    assert signer.private_numbers() == CA_KEY.private_numbers()


@pytest.mark.parametrize("form", [PKCS8, OLDER])
def test_a_wrong_passphrase_is_told(opened, monkeypatch, form):
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "close sesame")
    with pytest.raises(Refused, match="the passphrase is wrong"):
        opened(key(form, encrypted=True))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no private key"),
        (b"hello", "holds no private key"),
        (CA.public_bytes(Encoding.PEM), "it holds a certificate, and no private key"),
        (csr(CA_KEY).encode(), "it holds a CSR, and no private key"),
        (
            CA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "it holds a public key, and no private key",
        ),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds no private key"),
        (key() + key(of=new_key()), "holds 2 private keys"),
        (key(of=new_key()), "does not belong to the certificate"),
        (key(of=ed25519.Ed25519PrivateKey.generate()), "neither an EC nor an RSA key"),
        (key(of=ec.generate_private_key(ec.SECP256K1())), "does not belong to the certificate"),
    ],
)
def test_what_is_no_key_of_the_ca_is_told_as_what_it_is(opened, content, reason):
    with pytest.raises(Refused, match=reason):
        opened(content)


def test_a_ca_on_a_curve_that_nobody_knows_is_told(opened):
    p_256 = bytes.fromhex("06082a8648ce3d030107")
    with pytest.raises(Refused, match="of an unknown kind"):
        opened(key(), CA.public_bytes(Encoding.DER).replace(p_256, p_256[:-1] + b"\x0f"))


@pytest.mark.parametrize("left_by", [EOFError(), UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "")])
def test_a_question_for_the_passphrase_that_is_left_is_no_defect(
    monkeypatch: pytest.MonkeyPatch, left_by: Exception
) -> None:
    def leave(_: str) -> str:
        raise left_by

    monkeypatch.setattr("getpass.getpass", leave)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.delenv("ZYMKEY_FLEET_PASSPHRASE", raising=False)
    with pytest.raises(Refused, match="was not typed"):
        passphrase("passphrase of the CA key", file=None)
