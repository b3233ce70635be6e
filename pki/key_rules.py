"""Which keys and signatures AWS IoT takes: RSA of 2,048 bits or more, the curves P-256, P-384 and P-521, no SHA-1.

Whatever a stranger sent as a key is read here, since not every kind is read in a bounded time.

Source: AWS IoT API reference, CreateCertificateFromCsr and RegisterCertificate.
"""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pki import der

KEY_RULE = "P-256, P-384, P-521, or RSA with at least 2,048 bits"
# What a certificate or a CSR may no longer be signed with: a second one with the same signature can be made.
WEAK_HASHES = ("md5", "sha1")
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
# The kinds that are read at once, whatever numbers are in them; those that AWS IoT does not take are at least named.
# Diffie-Hellman is none of them: its parameters are tested for being prime, a minute long for those of 10,000 bits.
_KINDS = {
    "1.2.840.10045.2.1": "EC",
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.2.840.10040.4.1": "DSA",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}


def read_public_key(info: bytes) -> CertificatePublicKeyTypes:
    """Read a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) of a stranger, in a bounded time.

    Raises:
        Exception: whatever odd bytes make ``cryptography`` raise, which it writes nowhere; ``DerError`` for a kind of
            key that is not read.
    """
    algorithm, _ = der.read(info).expect(der.SEQUENCE).children()
    if der.dotted(algorithm.expect(der.SEQUENCE).children()[0]) not in _KINDS:
        raise der.DerError("a key of another kind")
    return load_der_public_key(info)  # type: ignore[return-value]  # of one of these kinds


def public_key_of(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    """The key of a certificate that may be anybody's, read in a bounded time.

    Raises:
        ValueError, UnsupportedAlgorithm: it is of a kind that is not read, or damaged.
    """
    if certificate.public_key_algorithm_oid.dotted_string not in _KINDS:
        raise der.DerError("a key of another kind")
    return certificate.public_key()


def is_acceptable_key(key: CertificatePublicKeyTypes) -> bool:
    """Whether AWS IoT takes a certificate for this key (``KEY_RULE``)."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name in _CURVES
    return isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048


def describe_key(key: CertificatePublicKeyTypes) -> str:
    """The kind of a key as a person would say it, such as ``RSA-1024`` or ``secp224r1``."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}"
    return type(key).__name__.removesuffix("PublicKey").removeprefix("_")
