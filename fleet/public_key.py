"""A public key as an operator gives it: a fingerprint, or a file with the key, a CSR or a certificate."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fleet.errors import Refused
from fleet.files import read
from fleet.fingerprints import looks_like_fingerprint, normal_fingerprint
from pki.armour import ArmourError, Block, armour, unwrap
from pki.csr import CsrError, read_csr
from pki.fingerprint import key_fingerprint
from pki.key_rules import KEY_RULE, describe_key, is_acceptable_key, read_public_key
from pki.kinds import CERTIFICATE, CSR, PUBLIC_KEY, holds_private_key, kind_of
from pki.received_certificate import CertificateError, read_leaf

_OTHERWISE = "give the fingerprint that `zymkey-iot key` shows on the device"


def fingerprint_of(key: str) -> str:
    """The fingerprint that ``key`` is, or that the file ``key`` holds, or that the public key in it has.

    Raises:
        Refused: it is none of them, or AWS IoT would not take a certificate for this key.
    """
    if looks_like_fingerprint(key):
        return _fingerprint(key)
    content = read(Path(key), "key file")
    text = content.decode("utf-8-sig", "replace")
    if looks_like_fingerprint(text):
        return _fingerprint(text.strip())
    public_key = _public_key(content, key)
    if not is_acceptable_key(public_key):
        raise Refused(
            f"The key in {key} is {describe_key(public_key)}; AWS IoT takes {KEY_RULE}.",
            cure="use a key of one of these kinds",
        )
    return key_fingerprint(public_key)


def _fingerprint(text: str) -> str:
    fingerprint = normal_fingerprint(text)
    if fingerprint is None:
        raise Refused(
            f"{text[:100]!r} is not a fingerprint, which is SHA256: and 43 characters.",
            cure="copy the fingerprint that `zymkey-iot key` shows on the device",
        )
    return fingerprint


def _public_key(content: bytes, file: str) -> CertificatePublicKeyTypes:
    """The key of all that the file holds: a public key, a CSR, or a device's certificate, alone or with its chain."""
    try:
        blocks = unwrap(content)
    except ArmourError as error:
        raise Refused(f"{file} holds no public key, CSR or certificate: {error}.", cure=_OTHERWISE) from None
    if holds_private_key(blocks):
        raise Refused(f"{file} holds a private key.", cure="keep it secret, and give the public key or a CSR")
    try:
        keys = {key_fingerprint(key): key for key in _keys(blocks)}
    except (CsrError, CertificateError) as error:
        raise Refused(f"{file}: {error}", cure=_OTHERWISE) from None
    if len(keys) > 1:
        raise Refused(f"{file} holds {len(keys)} keys.", cure="give a file with one of them")
    if not keys:
        (kind, *_) = (*filter(None, map(kind_of, blocks)), "something else")
        raise Refused(f"{file} holds {kind}, and no public key, CSR or certificate.", cure=_OTHERWISE)
    (key,) = keys.values()
    return key


def _keys(blocks: list[Block]) -> list[CertificatePublicKeyTypes]:
    kinds = [(block, kind_of(block)) for block in blocks]
    certificates = [armour("CERTIFICATE", block.der) for block, kind in kinds if kind == CERTIFICATE]
    keys = [read_leaf("".join(certificates).encode("ascii")).public_key] if certificates else []
    keys += [read_csr(armour("CERTIFICATE REQUEST", block.der).encode()).public_key for block, k in kinds if k == CSR]
    return keys + [_read_public_key(block) for block, kind in kinds if kind == PUBLIC_KEY]


def _read_public_key(block: Block) -> CertificatePublicKeyTypes:
    try:
        if block.label == "RSA PUBLIC KEY":  # the older form (RFC 8017 appendix A.1.1), which says no kind
            return load_der_public_key(block.der)  # type: ignore[return-value]
        return read_public_key(block.der)
    except Exception:  # noqa: BLE001 - what odd bytes make the library raise is written nowhere
        raise CertificateError("The public key is damaged, or of a kind that AWS IoT does not take.") from None
