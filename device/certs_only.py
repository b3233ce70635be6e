"""The certificates in a certs-only PKCS#7 (RFC 5652, RFC 7030 section 4.1.3), cheaply.

`cryptography` reads these too, and does here whenever this reader does not understand. But importing its pkcs7
module brings in Python's whole email package, a tenth of the processor time of a bootstrap; on a Pi Zero that is
a second.
"""

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

SEQUENCE, CONTEXT_0 = 0x30, 0xA0
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
"""The object identifier 1.2.840.113549.1.7.2."""


def read_certs_only(der: bytes) -> list[x509.Certificate]:
    """Raises ValueError when `der` is no PKCS#7 with certificates."""
    try:
        return [x509.load_der_x509_certificate(certificate) for certificate in _certificates(der)]
    except (ValueError, IndexError):
        from cryptography.hazmat.primitives.serialization import pkcs7

        try:
            return pkcs7.load_der_pkcs7_certificates(der)
        except UnsupportedAlgorithm as error:
            raise ValueError(str(error)) from None


def _certificates(der: bytes) -> list[bytes]:
    """ContentInfo { signedData, [0] SignedData { version, digests, content, [0] certificates, … } }"""
    ((_, content_info),) = _elements(der, SEQUENCE)
    kind, (tag, wrapped) = content_info[: len(SIGNED_DATA)], next(_elements(content_info[len(SIGNED_DATA) :]))
    if kind != SIGNED_DATA or tag != CONTEXT_0:
        raise ValueError("not signed data")
    ((_, signed_data),) = _elements(wrapped, SEQUENCE)
    (certificates,) = [content for tag, content in _elements(signed_data) if tag == CONTEXT_0]
    return [_header(SEQUENCE, len(content)) + content for _, content in _elements(certificates, SEQUENCE)]


def _elements(data: bytes, expected: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER element, one after the other (X.690 section 8.1, definite lengths)."""
    at = 0
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise ValueError("a length that DER does not have")
            length, start = int.from_bytes(data[start : start + size], "big"), start + size
        if expected not in (None, tag) or start + length > len(data):
            raise ValueError("another element than expected")
        yield tag, data[start : start + length]
        at = start + length


def _header(tag: int, length: int) -> bytes:
    if length < 0x80:
        return bytes([tag, length])
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big")
