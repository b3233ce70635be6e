"""The certificate signing request: one signature by the key, and a check of that signature.

It is kept until its certificate is in use, so that asking again, after a restart or a power cut too, costs the HSM no
other one. It is no secret: the certificate is useless without the key.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .errors import KeyUnavailable
from .keys import DeviceKey


def make_csr(key: DeviceKey, name: str) -> bytes:
    """A PKCS#10 request (RFC 2986) in DER with the subject CN=``name``, signed by ``key``.

    Raises:
        KeyUnavailable: the key does not sign, or its public key does not verify the signature.
    """
    csr = key.request(_subject(name))
    try:
        key.public_key().verify(csr.signature, csr.tbs_certrequest_bytes, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        # A request with a wrong signature builds without complaint, and only the server would notice.
        raise KeyUnavailable(
            f"the {key.title()} made a signature that its public key does not verify.",
            cure="power the Pi off and on; if that does not help, the HSM is defective or its library does not fit",
        ) from None
    return csr.public_bytes(serialization.Encoding.DER)


def kept_csr(pem: bytes | None, key: DeviceKey, name: str) -> bytes | None:
    """The request in ``pem``, in DER, if it is what ``make_csr`` has made for this key and this name; else None."""
    if pem is None:
        return None
    try:
        csr = x509.load_pem_x509_csr(pem)
        fits = csr.subject == _subject(name) and csr.public_key() == key.public_key() and csr.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return None
    return csr.public_bytes(serialization.Encoding.DER) if fits and not len(csr.attributes) else None


def to_pem(csr: bytes) -> bytes:
    """A request in DER as the file that is kept of it."""
    return x509.load_der_x509_csr(csr).public_bytes(serialization.Encoding.PEM)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
