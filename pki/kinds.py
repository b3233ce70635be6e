"""What somebody has sent instead of what was asked for, so that the refusal can say it."""

import warnings

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key, pkcs7

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


def _kind_of_der(der: bytes) -> str | None:
    for kind, load in (
        (CERTIFICATE, x509.load_der_x509_certificate),
        (CSR, x509.load_der_x509_csr),
        (PUBLIC_KEY, load_der_public_key),
        (_PKCS7, pkcs7.load_der_pkcs7_certificates),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                load(der)
        except Exception:  # noqa: BLE001, S112  it is not of this kind, for whatever reason
            continue
        return kind
    return PRIVATE_KEY if _is_private_key(der) else None


def _is_private_key(der: bytes) -> bool:
    try:
        load_der_private_key(der, None)
    except TypeError:  # it is encrypted
        return True
    except Exception:  # noqa: BLE001
        return False
    return True
