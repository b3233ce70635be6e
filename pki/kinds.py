"""What somebody has sent instead of what was asked for, so that the refusal can say it.

Keys are known by their shape: to load one can take minutes, since the numbers of a private key are tested for being
prime, and those of a stranger may be as long as they like.
"""

import warnings

from cryptography import x509

from pki import der
from pki.armour import Block

PRIVATE_KEY = "a private key"
CERTIFICATE = "a certificate"
CSR = "a CSR"
PUBLIC_KEY = "a public key"
_PKCS7 = "a PKCS#7 bundle"

CERTIFICATE_LABELS = {"CERTIFICATE", "X509 CERTIFICATE"}
CSR_LABELS = {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"}  # the second is OpenSSL's old one

_LABELS = {
    **dict.fromkeys(CERTIFICATE_LABELS, CERTIFICATE),
    **dict.fromkeys(CSR_LABELS, CSR),
    "TRUSTED CERTIFICATE": "a certificate with OpenSSL's trust settings",
    "PKCS7": _PKCS7,
    "CMS": _PKCS7,
    "X509 CRL": "a certificate revocation list",
    "EC PARAMETERS": "the parameters of a curve",
}


def kind_of(block: Block) -> str | None:
    """What a block is, as a noun with its article; ``None`` when it is nothing known.

    A label is believed: it says what its author meant, whatever is inside.
    """
    if not block.label:
        return _kind_of_der(block.der)
    if block.label.endswith("PRIVATE KEY"):
        return PRIVATE_KEY
    if block.label.endswith("PUBLIC KEY"):
        return PUBLIC_KEY
    return _LABELS.get(block.label, repr(block.label))


def holds_private_key(blocks: list[Block]) -> bool:
    """Whether somebody gave away what must never leave its device."""
    return any(kind_of(each) == PRIVATE_KEY for each in blocks)


def _kind_of_der(content: bytes) -> str | None:
    # Imported when it is needed: a function's start does not wait for it.
    from cryptography.hazmat.primitives.serialization import pkcs7

    for kind, load in (
        (CERTIFICATE, x509.load_der_x509_certificate),
        (CSR, x509.load_der_x509_csr),
        (_PKCS7, pkcs7.load_der_pkcs7_certificates),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                load(content)
        except Exception:  # noqa: BLE001, S112  it is not of this kind, for whatever reason
            continue
        return kind
    return _kind_of_key(content)


def _kind_of_key(content: bytes) -> str | None:
    try:
        tags = [each.tag for each in der.read(content).expect(der.SEQUENCE).children()]
    except der.DerError:
        return None
    if tags == [der.SEQUENCE, der.BIT_STRING]:  # SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7)
        return PUBLIC_KEY
    is_private = (
        tags[:3] == [der.INTEGER, der.SEQUENCE, der.OCTET_STRING]  # PKCS#8 (RFC 5958 section 2)
        or tags == [der.SEQUENCE, der.OCTET_STRING]  # the same, encrypted (RFC 5958 section 3)
        or tags[:2] == [der.INTEGER, der.OCTET_STRING]  # EC (RFC 5915 section 3)
        or (len(tags) > 5 and set(tags) == {der.INTEGER})  # RSA (RFC 8017 appendix A.1.2), and OpenSSL's DSA
    )
    return PRIVATE_KEY if is_private else None
