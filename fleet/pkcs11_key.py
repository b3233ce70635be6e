"""A CA key in a PKCS#11 token, as a key of the package ``cryptography``; ``pki.kms_key`` is its like for AWS KMS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from fleet.errors import Refused
from fleet.passphrase import passphrase
from fleet.pkcs11_uri import Pkcs11Uri
from pki.certificates import Signer
from pki.remote_key import RemoteEcPrivateKey

try:
    import pkcs11
    from pkcs11.exceptions import PKCS11Error
except ImportError:
    raise Refused(
        "A key in a PKCS#11 token needs the Python package python-pkcs11, which is not installed.",
        cure="install it as all others: pip install -r requirements/operator.txt",
    ) from None

MODULE_VARIABLE = "PKCS11_MODULE_PATH"
PIN_VARIABLE = "ZYMKEY_FLEET_PIN"


def open_pkcs11_key(uri: str, *, public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> Signer:
    """The private key that a URI names.

    Args:
        public_key: the CA's, from its certificate. Tokens often hold the private half alone.

    Raises:
        Refused: no such module, token or key, or a wrong PIN.
    """
    wanted = Pkcs11Uri.parse(uri)
    module = wanted.module_path or os.environ.get(MODULE_VARIABLE)
    if not module:
        raise Refused(
            "The PKCS#11 URI names no module.",
            cure=f"add ?module-path=/path/to/module.so to the URI, or set ${MODULE_VARIABLE}",
        )
    try:
        token = pkcs11.lib(module).get_token(token_label=wanted.token, token_serial=_serial(wanted))
        pin = passphrase("PIN of the token", file=wanted.pin_file, variable=PIN_VARIABLE)
        session = token.open(user_pin=pin.decode("utf-8", "replace"))
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=wanted.object, id=wanted.id)
    except (PKCS11Error, RuntimeError) as error:
        wrong, cure = _explain(error)
        raise Refused(f"The key {uri} cannot be opened: {wrong}.", cure=cure) from None
    return _RsaKey(key, public_key) if isinstance(public_key, rsa.RSAPublicKey) else _EcKey(key, public_key)


class _EcKey(RemoteEcPrivateKey):
    def __init__(self, key: Any, public_key: ec.EllipticCurvePublicKey) -> None:
        super().__init__(public_key)
        self._key = key

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Hash here, sign there. The token gives r and s side by side; X.509 wants them in DER."""
        algorithm = signature_algorithm.algorithm
        if not isinstance(algorithm, hashes.HashAlgorithm):
            raise ValueError("this key hashes the data itself")
        digest = hashes.Hash(algorithm)
        digest.update(data)
        with _refusals():
            raw = self._key.sign(digest.finalize(), mechanism=pkcs11.Mechanism.ECDSA)
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


class _RsaKey(rsa.RSAPrivateKey):
    def __init__(self, key: Any, public_key: rsa.RSAPublicKey) -> None:
        self._key = key
        self._public_key = public_key

    def sign(self, data: Any, padding_: Any, algorithm: Any) -> bytes:
        """PKCS#1 v1.5 with SHA-256, which is what certificates are signed with here."""
        if not isinstance(padding_, padding.PKCS1v15) or not isinstance(algorithm, hashes.SHA256):
            raise ValueError("this key signs with PKCS#1 v1.5 and SHA-256")
        with _refusals():
            signature: bytes = self._key.sign(bytes(data), mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS)
        return signature

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public_key

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def decrypt(self, ciphertext: bytes, padding: Any) -> NoReturn:
        raise NotImplementedError("a signing key does not decrypt")

    def private_numbers(self) -> NoReturn:
        raise NotImplementedError("the key cannot leave its token")

    def private_bytes(self, *args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError("the key cannot leave its token")

    def __copy__(self) -> _RsaKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> _RsaKey:
        return self


@contextmanager
def _refusals() -> Iterator[None]:
    """A token that is unplugged, or that does not let this key sign."""
    try:
        yield
    except (PKCS11Error, RuntimeError) as error:
        wrong, cure = _explain(error)
        raise Refused(f"The token did not sign: {wrong}.", cure=cure) from None


def _serial(uri: Pkcs11Uri) -> bytes | None:
    return None if uri.serial is None else uri.serial.encode()


def _explain(error: Exception) -> tuple[str, str]:
    """What is wrong, and what to try: python-pkcs11 tells it by the exception's class, and rarely with words."""
    known = {
        "NoSuchToken": ("the module has no such token", "compare token= and serial= with the module's tokens"),
        "MultipleTokensReturned": ("several tokens fit", "name one of them with token= or serial="),
        "NoSuchKey": ("the token holds no such private key", "compare object= and id= with the token's keys"),
        "MultipleObjectsReturned": ("several keys fit", "name one of them with object= or id="),
        "PinIncorrect": ("the PIN is wrong", "give the right PIN; a token locks it after a few wrong ones"),
        "PinLocked": ("the PIN is locked after too many wrong ones", "have the token's security officer unlock it"),
        "PinLenRange": ("the PIN has a wrong length", "give the right PIN; a token locks it after a few wrong ones"),
    }
    said = " ".join(str(error).split()) or type(error).__name__
    return known.get(type(error).__name__, (said, "check module-path, and that the token is connected"))
