"""The certificate signing request: one signature by the key, and a check of that signature."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature
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
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = key.request(subject)
    try:
        key.public_key().verify(csr.signature, csr.tbs_certrequest_bytes, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        # A request with a wrong signature builds without complaint, and only the server would notice.
        raise KeyUnavailable(
            f"the {key.title()} made a signature that its public key does not verify.",
            cure="power the Pi off and on; if that does not help, the HSM is defective or its library does not fit",
        ) from None
    return csr.public_bytes(serialization.Encoding.DER)
