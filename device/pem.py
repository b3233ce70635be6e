"""Certificates as people have them: PEM with text around it, in one line, in UTF-16; DER; base64 of either."""

import base64
import binascii
import re
from pathlib import Path

from cryptography import x509

from .text_file import decoded, read_small

_BOUNDARY = re.compile(r"-----(BEGIN|END) ([A-Z0-9 ]+)-----")
_CERTIFICATE = ("CERTIFICATE", "X509 CERTIFICATE")
_OTHERS = {
    "CERTIFICATE REQUEST": "a certificate signing request",
    "NEW CERTIFICATE REQUEST": "a certificate signing request",
    "PKCS7": "PKCS#7",
    "PUBLIC KEY": "a public key",
    "TRUSTED CERTIFICATE": "an OpenSSL trusted certificate",
}
_DER_SEQUENCE = b"\x30"


def read_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates in a file, at least one.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds none. The text says what it holds, as the end of a sentence.
    """
    return certificates(read_small(path))


def certificates(data: bytes) -> list[x509.Certificate]:
    """All certificates in ``data``, at least one.

    Raises:
        ValueError: as ``read_certificates`` raises it.
    """
    if not data.strip():
        raise ValueError("is empty")
    if data.startswith(_DER_SEQUENCE):
        return [_certificate(data, "is DER, but")]
    try:
        text = decoded(data)
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # what stands around the certificates may be in any language
    there = blocks(text)
    if not there:
        return _from_base64(text)
    found = [body for label, body in there if label in _CERTIFICATE]
    if not found:
        label = there[0][0]
        what = "a private key" if label.endswith("PRIVATE KEY") else _OTHERS.get(label, "something else in PEM")
        raise ValueError(f"holds {what}, and no certificate")
    return [_certificate(_decoded(body), "is PEM, but") for body in found]


def blocks(text: str) -> list[tuple[str, str]]:
    """The label and the body of each block of PEM (RFC 7468), in order. What has no end is none.

    One pass over the text, whatever stands in it: a file on the SD card is anybody's.
    """
    found, label, start = [], None, 0
    for boundary in _BOUNDARY.finditer(text):
        if boundary[1] == "BEGIN":
            label, start = boundary[2], boundary.end()
        elif boundary[2] == label:
            found.append((label, text[start : boundary.start()]))
            label = None
    return found


def why_no_roots(path: Path) -> str:
    """Why OpenSSL finds no root in a file, as the end of a sentence: it reads PEM alone, and no byte order mark."""
    try:
        read_certificates(path)
    except (OSError, ValueError) as error:
        return str(error) if isinstance(error, ValueError) else "cannot be read"
    return "holds a certificate, but not in plain PEM (openssl x509 -inform DER converts DER; save text as UTF-8)"


def _from_base64(text: str) -> list[x509.Certificate]:
    if "-----BEGIN " in text:
        raise ValueError("is cut off: a block of PEM has no end")
    try:
        inner = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("holds no certificate") from None
    if inner.startswith(b"-----BEGIN "):
        if len(inner) >= len(text):  # never, since base64 is longer; but it ends the recursion
            raise ValueError("holds no certificate")
        return certificates(inner)
    return [_certificate(inner, "is base64, but")]


def _decoded(body: str) -> bytes:
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is PEM, but its base64 is damaged") from None


def _certificate(der: bytes, form: str) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except Exception:  # noqa: BLE001 - it is a stranger's, and reading it can raise anything
        raise ValueError(f"{form} holds no certificate that can be read") from None
