"""DER by hand: certificates and CSRs that no builder makes, signed all the same."""

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki import der

UTF8, PRINTABLE, TELETEX, BMP, UNIVERSAL, VISIBLE, BITS = 0x0C, 0x13, 0x14, 0x1E, 0x1C, 0x1A, 0x03
ENCODINGS = {UTF8: "utf-8", PRINTABLE: "ascii", TELETEX: "latin-1", BMP: "utf-16-be", UNIVERSAL: "utf-32-be"}
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_TYPES = {"CN": "550403", "O": "55040a", "C": "550406"}


def tlv(tag: int, *contents: bytes) -> bytes:
    """An element of these contents, one after the other."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def name(*attributes: tuple[str, int, bytes]) -> bytes:
    """A name of attributes: ``CN``, ``O`` or ``C``, the string type's tag, the content."""
    return tlv(
        der.SEQUENCE,
        *(
            tlv(der.SET, tlv(der.SEQUENCE, tlv(der.OBJECT_IDENTIFIER, bytes.fromhex(_TYPES[kind])), tlv(tag, content)))
            for kind, tag, content in attributes
        ),
    )


def csr(key: ec.EllipticCurvePrivateKey, subject: bytes, *, version: int = 0, attributes: bytes = b"\xa0\x00") -> bytes:
    """A CSR (RFC 2986 section 4.1). Empty ``attributes`` are left out, as ``openssl req -asn1-kludge`` did."""
    public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _signed(tlv(der.SEQUENCE, tlv(der.INTEGER, bytes([version])), subject, public_key, attributes), key)


def changed(
    certificate: x509.Certificate,
    signer: Any,
    *,
    serial: bytes | None = None,
    issuer: bytes | None = None,
    validity: bytes | None = None,
    subject: bytes | None = None,
    key: bytes | None = None,
) -> bytes:
    """A certificate with other parts in DER (a serial is its content), signed by this EC key."""
    parts = [each.der for each in der.read(certificate.tbs_certificate_bytes).children()]
    for place, part in {1: serial and tlv(der.INTEGER, serial), 3: issuer, 4: validity, 5: subject, 6: key}.items():
        if part is not None:
            parts[place] = part
    return _signed(tlv(der.SEQUENCE, *parts), signer)


def key_of(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo, as it stands in the certificate."""
    return der.read(certificate.tbs_certificate_bytes).children()[6].der


def _signed(to_be_signed: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    signature = key.sign(to_be_signed, ec.ECDSA(hashes.SHA256()))
    return tlv(der.SEQUENCE, to_be_signed, _ECDSA_SHA256, tlv(der.BIT_STRING, b"\0", signature))
