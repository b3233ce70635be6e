"""What every key is: an elliptic curve private key whose ``sign()`` happens elsewhere.

``cryptography`` accepts a subclass of its own ``EllipticCurvePrivateKey`` wherever it signs (CSRs, certificates), and
``tls.py`` has the same object sign TLS handshakes. A kind of key only has to provide its public key, and the signature
of a digest.
"""

import base64
import hashlib
from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ..errors import KeyUnavailable
from .command_line import CommandLineKey

DIGEST_SIZE = 32
PAUSES = (0.1, 0.4)
"""In seconds, before the second try and before the third: the bus of an HSM, or a token, is busy for less than that."""


def fingerprint(public_key: ec.EllipticCurvePublicKey) -> str:
    """``SHA256:`` and the unpadded base64 of the SHA-256 of the DER SubjectPublicKeyInfo, as SSH shows fingerprints.

    The fingerprint identifies the device: certificates change, the key stays.
    """
    der = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


class DeviceKey(ec.EllipticCurvePrivateKey):
    """A P-256 private key that can sign and cannot be read."""

    kind: str
    """The URI scheme, such as ``zymkey``."""

    warning: str | None = None
    """A sentence to print as a warning whenever this key is used."""

    def __init__(self, uri: str, public_key: ec.EllipticCurvePublicKey) -> None:
        self.uri = uri
        self._public_key = public_key
        self.signatures = 0

    @abstractmethod
    def sign_digest(self, digest: bytes) -> bytes:
        """The ECDSA signature of 32 bytes, in DER.

        Raises:
            KeyUnavailable: the key does not sign.
        """

    @abstractmethod
    def details(self) -> dict[str, str | int]:
        """What holds the key: for a Zymkey its model, serial number, firmware and slot. Nothing of it is secret.

        Raises:
            KeyUnavailable: the HSM does not answer.
        """

    @abstractmethod
    def title(self) -> str:
        """A few words for a report line, such as ``Zymkey slot 0``."""

    @abstractmethod
    def by_hand(self) -> CommandLineKey:
        """The key as a person gives it to ``openssl`` and ``curl``, which ask for the PIN if there is one."""

    def on_command_line(self) -> AbstractContextManager[CommandLineKey]:
        """The same for a program to run, with the PIN, while the block lasts.

        Raises:
            KeyUnavailable: there is no PIN, or it cannot be read.
        """
        return nullcontext(self.by_hand())

    def request(self, subject: x509.Name) -> x509.CertificateSigningRequest:
        """A certificate signing request (RFC 2986) for this key. Costs one signature."""
        return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(self, hashes.SHA256())

    def sign_hashed(self, digest: bytes) -> bytes:
        """Sign a digest of any hash.

        ECDSA uses the leftmost 256 bits of a longer digest, and reads a shorter digest as a smaller number (FIPS 186-5
        section 6.4.1), so every digest has a form of 32 bytes with the same signature.
        """
        self.signatures += 1
        return self.sign_digest(digest[:DIGEST_SIZE].rjust(DIGEST_SIZE, b"\0"))

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """The interface of ``cryptography``: hash ``data``, and return the signature in DER."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            return self.sign_hashed(bytes(data))
        digest = hashes.Hash(algorithm)
        digest.update(data)
        return self.sign_hashed(digest.finalize())

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    @property
    def fingerprint(self) -> str:
        return fingerprint(self._public_key)

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return self._public_key.curve.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        self._stays()

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        self._stays()

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> bytes:
        self._stays()

    def _stays(self) -> NoReturn:
        raise KeyUnavailable(
            f"the key in the {self.title()} can only sign.", cure="use sign(): no key leaves its hardware"
        )

    # A copy is the same key: the hardware has only one.
    def __copy__(self) -> "DeviceKey":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "DeviceKey":
        return self
