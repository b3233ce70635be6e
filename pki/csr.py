"""Certificate signing requests: liberal in how they are wrapped, strict in what they say.

PKCS#10 (RFC 2986) is taken apart here, and not by ``cryptography``: that refuses what OpenSSL reads, such as a CSR
without attributes, or with an organization in Latin-1, neither of which matters to anybody. Keys and signatures are
``cryptography``'s.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import SignatureAlgorithmOID

from pki import der
from pki.armour import ArmourError, armour, unwrap
from pki.fingerprint import key_fingerprint
from pki.key_rules import KEY_RULE, WEAK_HASHES, describe_key, is_acceptable_key, read_public_key
from pki.kinds import CSR, holds_private_key, kind_of
from pki.names import USUAL_STRINGS, CommonName, read_common_names

# CreateCertificateFromCsr takes 4,096 characters (AWS IoT API reference); one rule for every issuer.
MAX_CHARACTERS = 4096
# As people send one: in UTF-16, with all that ``openssl req -text`` writes above it.
MAX_BODY = 4 * MAX_CHARACTERS

_ATTRIBUTES = 0xA0
_HASHES: dict[str, hashes.HashAlgorithm] = {
    oid.dotted_string: algorithm
    for oid, algorithm in {
        SignatureAlgorithmOID.RSA_WITH_MD5: hashes.MD5(),  # noqa: S303  to be refused by its name
        SignatureAlgorithmOID.RSA_WITH_SHA1: hashes.SHA1(),  # noqa: S303
        SignatureAlgorithmOID.ECDSA_WITH_SHA1: hashes.SHA1(),  # noqa: S303
        SignatureAlgorithmOID.RSA_WITH_SHA224: hashes.SHA224(),
        SignatureAlgorithmOID.RSA_WITH_SHA256: hashes.SHA256(),
        SignatureAlgorithmOID.RSA_WITH_SHA384: hashes.SHA384(),
        SignatureAlgorithmOID.RSA_WITH_SHA512: hashes.SHA512(),
        SignatureAlgorithmOID.ECDSA_WITH_SHA224: hashes.SHA224(),
        SignatureAlgorithmOID.ECDSA_WITH_SHA256: hashes.SHA256(),
        SignatureAlgorithmOID.ECDSA_WITH_SHA384: hashes.SHA384(),
        SignatureAlgorithmOID.ECDSA_WITH_SHA512: hashes.SHA512(),
    }.items()
}
_PSS = SignatureAlgorithmOID.RSASSA_PSS.dotted_string
_PSS_HASHES: dict[str, hashes.HashAlgorithm] = {  # RFC 4055 section 2.1
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}


class CsrError(ValueError):
    """A CSR that must not be signed. The message is one sentence for the person who made it."""


@dataclass(frozen=True, kw_only=True)
class Csr:
    """A CSR whose signature proves that its sender holds the private key."""

    pem: str
    public_key: CertificatePublicKeyTypes
    fingerprint: str
    common_name: str  # empty when the CSR has none
    common_name_string: str = USUAL_STRINGS[0]  # its ASN.1 type


@dataclass(frozen=True, kw_only=True)
class _Parts:
    signed: bytes
    subject: der.Element
    public_key: bytes
    algorithm: list[der.Element]
    signature: bytes


def read_csr(body: bytes) -> Csr:
    """Read a PKCS#10 request as EST sends it (RFC 8951 section 3.1: base64 of the DER), or in any wrapping of PEM.

    Raises:
        CsrError: it is empty, too long, not base64, not a CSR, its signature does not verify, or AWS IoT would not
            take its key.
    """
    if len(body) > MAX_BODY:
        raise CsrError(f"The CSR is {len(body):,} characters long; {MAX_BODY:,} are allowed with all that is around.")
    content = _unwrap(body)
    pem = armour("CERTIFICATE REQUEST", content)
    if len(pem) > MAX_CHARACTERS:
        raise CsrError(f"The CSR is {len(pem):,} characters long as PEM; AWS IoT takes {MAX_CHARACTERS:,} at most.")
    parts = _parts(content)
    public_key = _public_key(parts.public_key)
    _check_signature(parts, public_key)
    common_name = _common_name(parts.subject)
    return Csr(
        pem=pem,
        public_key=public_key,
        fingerprint=key_fingerprint(public_key),
        common_name=common_name.text,
        common_name_string=common_name.string,
    )


def _unwrap(body: bytes) -> bytes:
    """The DER of the one CSR that somebody sent."""
    if not body.strip():
        raise CsrError("There is no CSR: the request's body is empty.")
    try:
        blocks = unwrap(body)
    except ArmourError as error:
        raise CsrError(f"The CSR cannot be read, {error}: send the base64 of the DER, or PEM.") from None
    if holds_private_key(blocks):
        raise CsrError("This is a private key: never send it. Make a new key, and send a CSR.")
    kinds = [kind_of(each) for each in blocks]
    found = [block for block, kind in zip(blocks, kinds, strict=True) if kind in (CSR, None)]
    if not found:
        raise CsrError(f"This is {kinds[0]}, not a CSR.")
    if len(found) > 1:
        raise CsrError(f"The PEM holds {len(found)} CSRs; send one at a time.")
    return found[0].der


def _parts(content: bytes) -> _Parts:
    """The parts of a CertificationRequest (RFC 2986 section 4). Its version says nothing, and may be any."""
    try:
        info, algorithm, signature = der.read(content).expect(der.SEQUENCE).children()
        version, subject, public_key, *attributes = info.expect(der.SEQUENCE).children()
        version.expect(der.INTEGER)
        if [each.tag for each in attributes] not in ([], [_ATTRIBUTES]):
            raise der.DerError("something stands where attributes belong")
        bits = signature.expect(der.BIT_STRING).content
        if bits[:1] != b"\0":
            raise der.DerError("a signature is whole bytes")
        return _Parts(
            signed=info.der,
            subject=subject.expect(der.SEQUENCE),
            public_key=public_key.expect(der.SEQUENCE).der,
            algorithm=algorithm.expect(der.SEQUENCE).children(),
            signature=bits[1:],
        )
    except ValueError:
        raise CsrError("What was sent is not a PKCS#10 CSR in DER.") from None


def _public_key(info: bytes) -> CertificatePublicKeyTypes:
    try:
        key = read_public_key(info)
        key_fingerprint(key)
    except Exception:  # noqa: BLE001  what a stranger's bytes make the library raise is written nowhere
        raise CsrError(f"The CSR's key is of a kind that AWS IoT does not take; it takes {KEY_RULE}.") from None
    if not is_acceptable_key(key):
        raise CsrError(f"The CSR's key is {describe_key(key)}; AWS IoT takes {KEY_RULE}.")
    return key


def _check_signature(parts: _Parts, key: CertificatePublicKeyTypes) -> None:
    try:
        algorithm, pss = _algorithm(parts.algorithm)
        if algorithm.name in WEAK_HASHES:
            name = algorithm.name.upper()
            raise CsrError(f"The CSR is signed with {name}, which AWS IoT does not take; use SHA-256.")
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(parts.signature, parts.signed, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(parts.signature, parts.signed, pss or padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        raise CsrError(
            "The CSR's signature does not verify, so it does not prove who holds the key "
            "(a Zymkey signs r and s as 64 raw bytes; a CSR wants them in DER)."
        ) from None
    except CsrError:
        raise
    except Exception:  # noqa: BLE001  what a stranger's bytes make the library raise is written nowhere
        raise CsrError("The CSR is signed with an unknown algorithm; use ECDSA or RSA with SHA-256.") from None


def _algorithm(identifier: list[der.Element]) -> tuple[hashes.HashAlgorithm, padding.PSS | None]:
    """The hash of a signature, and the padding where it is RSASSA-PSS (RFC 4055 section 3.1)."""
    oid = der.dotted(identifier[0])
    if oid != _PSS:
        return _HASHES[oid], None
    found = {each.tag: each.children()[0] for each in identifier[1].expect(der.SEQUENCE).children()}
    algorithm = _PSS_HASHES[der.dotted(found[0xA0].children()[0])]
    mask = _PSS_HASHES[der.dotted(found[0xA1].children()[1].children()[0])]
    salt = int.from_bytes(found[0xA2].expect(der.INTEGER).content)
    return algorithm, padding.PSS(padding.MGF1(mask), min(salt, 512))


def _common_name(subject: der.Element) -> CommonName:
    try:
        names = read_common_names(subject)
    except der.DerError as error:
        raise CsrError(f"The CSR's subject cannot be read: {error}.") from None
    if len(names) > 1:
        raise CsrError(f"The CSR has {len(names)} common names; a device has one.")
    return names[0] if names else CommonName("")
