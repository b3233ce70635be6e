"""Which keys and signatures AWS IoT takes: RSA of 2,048 bits or more, the curves P-256, P-384 and P-521, no SHA-1.

Source: AWS IoT API reference, CreateCertificateFromCsr and RegisterCertificate.
"""

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

KEY_RULE = "P-256, P-384, P-521, or RSA with at least 2,048 bits"
# What a certificate or a CSR may no longer be signed with: a second one with the same signature can be made.
WEAK_HASHES = ("md5", "sha1")
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


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
