"""Certificates as people have them are read; what is none is called by its name."""

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from device.errors import UsageError
from device.pem import certificates
from device.tls import client_context


@pytest.fixture
def pem(pki: Path) -> bytes:
    return (pki / "ca.pem").read_bytes()


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda pem: pem,
    "text around it": lambda pem: b"Subject: CN=K\xfcche\n" + pem + b"\nthe end\n",
    "byte order mark": lambda pem: b"\xef\xbb\xbf" + pem,
    "CRLF": lambda pem: pem.replace(b"\n", b"\r\n"),
    "one line": lambda pem: pem.replace(b"\n", b""),
    "one line with blanks": lambda pem: pem.replace(b"\n", b" "),
    "UTF-16": lambda pem: pem.decode().encode("utf-16"),
    "DER": lambda pem: x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER),
    "base64 of PEM": base64.encodebytes,
    "base64 of DER": lambda pem: b"".join(line for line in pem.splitlines() if b"-----" not in line),
    "old label": lambda pem: pem.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_certificate_is_read_in_every_form(pem: bytes, form: str) -> None:
    assert certificates(FORMS[form](pem)) == [x509.load_pem_x509_certificate(pem)]


def test_a_chain_is_read_in_its_order(pem: bytes) -> None:
    assert len(certificates(pem + pem)) == 2


@pytest.mark.parametrize(
    ("data", "because"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"0\x82\x01", "is DER, but"),
        (b"\xff\xfe\x00", "no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB", "is cut off"),
        (b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----", "damaged"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "is PEM, but"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----", "a private key"),
        (
            b"-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----",
            "a certificate signing request",
        ),
        (b"hello world!", "no certificate"),
        (base64.b64encode(b"-----BEGIN CERTIFICATE-----"), "is cut off"),
    ],
)
def test_what_is_no_certificate_is_called_by_its_name(data: bytes, because: str) -> None:
    with pytest.raises(ValueError, match=because):
        certificates(data)


@pytest.mark.parametrize(
    ("form", "because"),
    [("DER", "not in plain PEM"), ("UTF-16", "not in plain PEM"), ("folder", "Is a directory"), ("", "is empty")],
)
def test_a_file_of_roots_that_openssl_does_not_read_is_refused_with_the_reason(
    pem: bytes, tmp_path: Path, form: str, because: str
) -> None:
    path = tmp_path / "roots"
    if form == "folder":
        path.mkdir()
    else:
        path.write_bytes(FORMS[form](pem) if form else b"")
    with pytest.raises(UsageError) as refused:
        client_context(path)
    assert because in refused.value.cause


def test_text_that_begins_a_thousand_blocks_and_ends_none_costs_no_more_than_other_text() -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="no end"):
        certificates(b"-----BEGIN CERTIFICATE-----\n" * 37_000)
    assert time.monotonic() - began < 2
