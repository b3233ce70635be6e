"""An EC private key that lives elsewhere and never leaves: it gives its public half and signatures, and nothing else.

Subclassing ``EllipticCurvePrivateKey`` is the ``cryptography`` package's documented way to sign with such a key: its
certificate builder asks the object to ``sign``, and never for its numbers.
"""

from __future__ import annotations

from typing import NoReturn, Self

from cryptography.hazmat.primitives.asymmetric import ec


class RemoteEcPrivateKey(ec.EllipticCurvePrivateKey):
    """Everything but ``sign(data, signature_algorithm)``, which returns a signature in DER."""

    def __init__(self, public_key: ec.EllipticCurvePublicKey) -> None:
        self._public_key = public_key

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        raise NotImplementedError("A signing key does not agree on keys.")

    def private_numbers(self) -> NoReturn:
        raise NotImplementedError("The key cannot leave the place where it is.")

    def private_bytes(self, *args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError("The key cannot leave the place where it is.")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self
